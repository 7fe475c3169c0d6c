"""`skald pool --type kubernetes`, and task types deployed to such a pool, on a real Prefect server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from skald_work_pools.kubernetes_pool import KubernetesPool, base_job_template
from tests.services.prefect_cli import prefect
from tests.services.prefect_server import PrefectServer
from tests.services.skald_cli import Answer, skald

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]
FLOW = """
from skald_bridge.authoring import Attachments, task_type
from skald_work_pools.needs import Needs


class Given(Attachments):
    count: int = 2


@task_type(name="{name}-plain", needs=Needs(cpus=0.5, memory="2GiB", gpus=1, tags=["lan"]))
def plain(attachments: Given) -> int:
    return attachments.count


@task_type(name="{name}-share", needs=Needs(gpu_memory="4GiB"))
def share(attachments: Given) -> int:
    return attachments.count
"""


class Place:
    """A folder of a user's with two task types, and a pool's name."""

    def __init__(self, server: PrefectServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.name = f"pods-{uuid4().hex[:8]}"
        (folder / "jobs.py").write_text(FLOW.replace("{name}", self.name))

    def write(self, *which: str, **variables: Any) -> None:
        pool = {"name": self.name, "job_variables": variables}
        entries = [{"name": "it", "entrypoint": f"jobs.py:{one}", "work_pool": pool} for one in which]
        (self.folder / "prefect.yaml").write_text(json.dumps({"deployments": entries}))

    def __call__(self, *arguments: str) -> Answer:
        return skald(*arguments, home=self.folder, env={"PREFECT_API_URL": self.server.url}, cwd=self.folder)

    def pool(self, *arguments: str) -> Answer:
        return self("pool", self.name, "--type", "kubernetes", *arguments)

    def stored(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.server.url}/work_pools/{self.name}").json()
        return found

    def variables(self, which: str) -> dict[str, Any] | None:
        answer = httpx.get(f"{self.server.url}/deployments/name/{self.name}-{which}/it")
        return answer.json()["job_variables"] if answer.is_success else None


@pytest.fixture
def place(server: PrefectServer, tmp_path: Path) -> Place:
    return Place(server, tmp_path)


def test_a_pool_is_created_then_changed_and_what_changed_is_said(place: Place) -> None:
    said = place.pool("--image", "x:1", "--gpu-model", "NVIDIA-L4", "--volume", "media:/media")
    assert (said.code, said.out.strip()) == (0, f"created: work pool {place.name}, type kubernetes"), said
    assert place.stored()["type"] == "kubernetes"
    again = place.pool("--image", "x:1", "--gpu-model", "NVIDIA-L4", "--volume", "media:/media")
    assert again.out.strip() == f"unchanged: work pool {place.name}, type kubernetes", again
    changed = place.pool("--image", "x:2")
    assert changed.out.startswith(f"changed: work pool {place.name}, type kubernetes\n"), changed
    assert 'image.default: "x:1" → "x:2"' in changed.out
    assert place.stored()["base_job_template"] == base_job_template(KubernetesPool(image="x:2"))


def test_a_pool_of_another_type_stays_what_it_is(place: Place) -> None:
    assert place("pool", place.name).code == 0
    said = place.pool()
    assert said.code == 5
    assert "has the type skald, not kubernetes" in said.err
    said = place("pool", f"{place.name}-2", "--image", "x:1", "--shm", "1GiB")
    assert said.code == 2
    assert "no image, shared memory" in said.err
    assert "--type kubernetes" in said.err


def test_the_needs_of_a_task_type_are_job_variables(place: Place) -> None:
    assert place.pool("--image", "x:1", "--node-selector", "zone=a").code == 0
    place.write("plain", cpus=2, image="x:2")
    said = place("deploy", ".")
    assert said.code == 0, said
    assert place.variables("plain") == {
        "cpus": "2",
        "memory": "2Gi",
        "gpus": 1,
        "image": "x:2",
        "node_selector": {"zone": "a", "skald/lan": "true"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    }


def test_what_no_pod_can_have_is_refused_with_the_remedy_and_nothing_is_deployed(place: Place) -> None:
    assert place.pool().code == 0
    place.write("plain", "share")
    said = place("deploy", ".")
    assert said.code == 2, said
    assert f"deployment it, pool {place.name}: a pod takes whole GPUs, gpu_memory cannot" in said.err
    assert "Deploy it to a pool of type skald" in said.err
    assert (place.variables("plain"), place.variables("share")) == (None, None)
    place.write("share", gpus=1, gpu_memory=0)
    assert place("deploy", ".").code == 0
    assert (place.variables("share") or {})["gpus"] == 1
    place.write("plain", start="cold")
    said = place("deploy", ".")
    assert said.code == 2
    assert "job variable 'start' is ignored" in said.err


def test_prefect_itself_refuses_what_the_pool_does_not_know(place: Place) -> None:
    assert place.pool().code == 0
    for wrong, named in (({"nvenc": 1}, "nvenc"), ({"memory": "2GiB"}, "2GiB")):
        place.write("plain", **wrong)
        with pytest.raises(AssertionError, match=named):
            prefect(place.server, "deploy", "--all", cwd=place.folder)
        assert place.variables("plain") is None


def test_a_stock_pool_has_no_place_for_needs(place: Place) -> None:
    manifest = {"spec": {"template": {"spec": {"containers": [{"name": "prefect-job"}]}}}}
    template = {"job_configuration": {"job_manifest": manifest}, "variables": {"properties": {"image": {}}}}
    body = {"name": place.name, "type": "kubernetes", "base_job_template": template}
    assert httpx.post(f"{place.server.url}/work_pools/", json=body).is_success
    place.write("plain")
    said = place("deploy", ".")
    assert said.code == 2, said
    assert "its pool has no job variables cpus, memory, gpus" in said.err
    assert "skald pool" in said.err
