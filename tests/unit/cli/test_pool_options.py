"""`skald pool --type kubernetes`: what its options mean, and what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skald_bridge.cli.pool_options import kubernetes_pool
from skald_bridge.domain.errors import InvalidInput, NotFound
from skald_work_pools.kubernetes_pool import KubernetesPool, Volume


def test_nothing_said_is_the_plain_pool() -> None:
    assert kubernetes_pool({}) == KubernetesPool(volumes=[])


def test_what_is_said(tmp_path: Path) -> None:
    file = tmp_path / "affinity.yml"
    file.write_text("nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: []}\n")
    pool = kubernetes_pool(
        {
            "image": "x:1",
            "node_selector": ["zone=a", "disk=fast"],
            "tolerations": ["spot", "gpu=yes:NoSchedule", "slow:NoExecute"],
            "affinity": file,
            "shared_memory": "1GiB",
            "volumes": ["media:/media", "models:/models:ro"],
            "host_paths": ["/srv/cache:/cache:ro"],
            "environment": ["A=b=c"],
            "secrets": ["MONGO_HOST=mongo:uri"],
            "keep": 0,
        }
    )
    assert pool == KubernetesPool(
        image="x:1",
        node_selector={"zone": "a", "disk": "fast"},
        tolerations=[
            {"key": "spot", "operator": "Exists"},
            {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"},
            {"key": "slow", "operator": "Exists", "effect": "NoExecute"},
        ],
        affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        shared_memory=2**30,
        volumes=[
            Volume("media", "/media"),
            Volume("models", "/models", read_only=True),
            Volume("/srv/cache", "/cache", host_path=True, read_only=True),
        ],
        environment={"A": "b=c"},
        secrets={"MONGO_HOST": ("mongo", "uri")},
        keep=0,
    )


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"image_pull_policy": "Sometimes"}, "--pull"),
        ({"node_selector": ["zone"]}, "--node-selector"),
        ({"tolerations": ["=x"]}, "--toleration"),
        ({"tolerations": ["a:Never"]}, "--toleration"),
        ({"shared_memory": "much"}, "--shm"),
        ({"volumes": ["media"]}, "--volume"),
        ({"volumes": ["media:relative"]}, "--volume"),
        ({"volumes": ["media:/m:rw"]}, "--volume"),
        ({"host_paths": ["srv:/cache"]}, "--host-path"),
        ({"secrets": ["A=mongo"]}, "--secret"),
    ],
)
def test_a_wrong_option_is_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match=named) as wrong:
        kubernetes_pool(given)
    assert wrong.value.remedy


@pytest.mark.parametrize("text", ["", "[1]", "nodeSelector: {a: b}", "a: ["])
def test_a_wrong_affinity_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "affinity.yml"
    with pytest.raises(NotFound):
        kubernetes_pool({"affinity": file})
    file.write_text(text)
    with pytest.raises(InvalidInput, match=r"affinity\.yml"):
        kubernetes_pool({"affinity": file})
