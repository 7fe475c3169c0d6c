"""Needs as job variables of a pool of type kubernetes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from skald_work_pools.kubernetes_job import CannotGive, gpu_resource, job_variables
from skald_work_pools.kubernetes_pool import KubernetesPool, base_job_template
from skald_work_pools.needs import Needs

PLAIN = base_job_template(KubernetesPool())
NVIDIA = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
SPOT = {"key": "spot", "operator": "Exists"}


@pytest.mark.parametrize(
    ("needs", "variables"),
    [
        (Needs(), {}),
        (Needs(cpus=2), {"cpus": "2"}),
        (Needs(cpus=0.5), {"cpus": "500m"}),
        (Needs(cpus=0.0001), {"cpus": "1m"}),
        (Needs(memory="2GiB"), {"memory": "2Gi"}),
        (Needs(memory="512MB"), {"memory": "500000Ki"}),
        (Needs(memory=1001), {"memory": "1001"}),
        (Needs(gpus=2), {"gpus": 2, "tolerations": [NVIDIA]}),
        (
            Needs(tags={"rtsp-lan", "cuda-12"}),
            {"node_selector": {"skald/cuda-12": "true", "skald/rtsp-lan": "true"}},
        ),
    ],
)
def test_needs_are_job_variables(needs: Needs, variables: dict[str, Any]) -> None:
    assert job_variables(needs, {}, PLAIN) == variables


def test_what_the_deployment_says_wins_and_the_rest_of_it_stays() -> None:
    declared = Needs(cpus=4, memory="8GiB", gpus=1)
    given = {"cpus": "1500m", "gpus": 0, "image": "x:1", "tags": ["lan"], "env": {"A": "1"}}
    assert job_variables(declared, given, PLAIN) == {
        "cpus": "1500m",
        "memory": "8Gi",
        "image": "x:1",
        "env": {"A": "1"},
        "node_selector": {"skald/lan": "true"},
    }


def test_selectors_and_tolerations_of_pool_and_deployment_are_added_to() -> None:
    pool = KubernetesPool(node_selector={"zone": "a"}, tolerations=[SPOT])
    needs = Needs(gpus=1, tags={"lan"})
    found = job_variables(needs, {}, base_job_template(pool))
    assert found["node_selector"] == {"zone": "a", "skald/lan": "true"}
    assert found["tolerations"] == [SPOT, NVIDIA]
    own = job_variables(
        needs, {"node_selector": {"zone": "b"}, "tolerations": [NVIDIA]}, base_job_template(pool)
    )
    assert own["node_selector"] == {"zone": "b", "skald/lan": "true"}
    assert own["tolerations"] == [NVIDIA]


@pytest.mark.parametrize(
    ("resource", "taint"),
    [
        ("nvidia.com/gpu", "nvidia.com/gpu"),
        ("nvidia.com/mig-1g.5gb", "nvidia.com/gpu"),
        ("amd.com/gpu", "amd.com/gpu"),
    ],
)
def test_the_pool_says_what_a_gpu_is(resource: str, taint: str) -> None:
    template = base_job_template(KubernetesPool(gpu_resource=resource))
    assert gpu_resource(template) == resource
    assert job_variables(Needs(gpus=1), {}, template)["tolerations"][0]["key"] == taint


@pytest.mark.parametrize(
    ("needs", "named"),
    [
        ({"gpu_memory": "4GiB"}, "gpu_memory cannot"),
        ({"nvenc": 1}, "nvenc cannot"),
        ({"nvdec": 2, "gpu_memory": 1}, "gpu_memory and nvdec cannot"),
    ],
)
def test_a_share_of_a_gpu_is_refused_and_the_remedy_is_one(needs: dict[str, Any], named: str) -> None:
    with pytest.raises(CannotGive) as refused:
        job_variables(Needs(**needs), {}, PLAIN)
    assert named in refused.value.message
    assert "type skald" in refused.value.remedy
    zeros = dict.fromkeys(needs, 0)
    assert f"{{gpus: 1, {', '.join(f'{name}: 0' for name in sorted(needs))}}}" in refused.value.remedy
    assert job_variables(Needs(**needs), {"gpus": 1, **zeros}, PLAIN)["gpus"] == 1


@pytest.mark.parametrize("tag", ["two words", "-dash", "ü", "x" * 64])
def test_a_tag_that_no_label_can_have_is_refused(tag: str) -> None:
    with pytest.raises(CannotGive, match="label"):
        job_variables(Needs(tags={tag}), {}, PLAIN)


@pytest.mark.parametrize("template", [{}, {"variables": {"properties": {"cpu_request": {}}}}])
def test_a_pool_that_has_no_place_for_needs_is_told(template: dict[str, Any]) -> None:
    assert job_variables(Needs(), {"image": "x"}, template) == {"image": "x"}
    with pytest.raises(CannotGive) as refused:
        job_variables(Needs(cpus=1, memory=1), {}, template)
    assert "cpus, memory" in refused.value.message
    assert "skald pool" in refused.value.remedy
    assert gpu_resource(template) is None


@pytest.mark.parametrize("given_", [{"cpus": "many"}, {"memory": "2 parsecs"}, {"gpus": -1}])
def test_a_need_of_a_wrong_type_names_its_field(given_: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as wrong:
        job_variables(Needs(), given_, PLAIN)
    assert wrong.value.errors()[0]["loc"] == tuple(given_)


@given(
    st.builds(
        Needs,
        cpus=st.floats(0, 128),
        memory=st.integers(0, 2**42),
        gpus=st.integers(0, 8),
        tags=st.frozensets(st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z]", fullmatch=True), max_size=3),
    )
)
def test_deploying_twice_changes_nothing(needs: Needs) -> None:
    once = job_variables(needs, {}, PLAIN)
    assert job_variables(needs, once, PLAIN) == once
    assert set(once) <= set(PLAIN["variables"]["properties"])
