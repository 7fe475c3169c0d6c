"""The pod: rights, volumes, probes, and needs as resources."""

from __future__ import annotations

from typing import Any

import pytest

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.wire.pods import Gpus, PodOptions, pod_spec
from skald_work_pools.kubernetes_job import quantity
from skald_work_pools.needs import Needs


def spec(**options: Any) -> dict[str, Any]:
    return pod_spec("alpha", "config-alpha", PodOptions(options.pop("image", "r/i:1"), **options))


def container(**options: Any) -> dict[str, Any]:
    return spec(**options)["containers"][0]


def test_it_has_no_rights_that_it_does_not_need() -> None:
    made = spec()
    assert made["securityContext"]["runAsNonRoot"] is True
    assert made["securityContext"]["runAsUser"] > 0
    assert made["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert made["automountServiceAccountToken"] is False
    assert made["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_what_it_writes_has_a_volume() -> None:
    made = spec()
    mounts = {each["mountPath"]: each["name"] for each in made["containers"][0]["volumeMounts"]}
    volumes = {each["name"]: each for each in made["volumes"]}
    env = {each["name"]: each["value"] for each in made["containers"][0]["env"]}
    for path in ("/tmp", env["HOME"]):
        assert "emptyDir" in volumes[mounts[path]]
    assert env["SKALD_ALIVE_FILE"].startswith("/tmp/")


def test_probes_look_at_the_alive_file_and_pre_stop_tells_the_task() -> None:
    made = container()
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert "/tmp/skald-alive" in made[probe]["exec"]["command"][-1]
    assert "kill -TERM" in made["lifecycle"]["preStop"]["exec"]["command"][-1]
    bare = container(probes=False)
    assert not {"startupProbe", "livenessProbe", "readinessProbe", "lifecycle"} & set(bare)
    assert "SKALD_ALIVE_FILE" not in {each["name"] for each in bare["env"]}


def test_needs_are_resources() -> None:
    made = spec(needs=Needs(cpus=1.5, memory="2GiB", gpus=2), gpus=Gpus(model="NVIDIA-L4"))
    assert made["containers"][0]["resources"] == {
        "requests": {"cpu": "1500m", "memory": "2Gi", "nvidia.com/gpu": "2"},
        "limits": {"memory": "2Gi", "nvidia.com/gpu": "2"},
    }
    assert made["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-L4"}
    assert made["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert "resources" not in container()
    assert not {"nodeSelector", "tolerations"} & set(spec())


def test_gpus_have_the_clusters_names() -> None:
    named = Gpus("nvidia.com/mig-1g.5gb", "A100", "gpu.example.com/model")
    made = spec(needs=Needs(cpus=4, gpus=1), gpus=named)
    resources = made["containers"][0]["resources"]
    assert resources["limits"] == {"nvidia.com/mig-1g.5gb": "1"}
    assert resources["requests"] == {"cpu": "4", "nvidia.com/mig-1g.5gb": "1"}
    assert made["nodeSelector"] == {"gpu.example.com/model": "A100"}


def test_shared_memory_is_a_volume_in_memory() -> None:
    made = spec(shared_memory=2**30)
    assert {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}} in made["volumes"]
    assert {"name": "shared-memory", "mountPath": "/dev/shm"} in made["containers"][0]["volumeMounts"]


def test_variables_win_over_the_guides_and_secrets_over_both() -> None:
    env = container(
        environment={"KAFKA_HOST": "kafka", "MONGO_HOST": "plain", "EXTRA": "1"},
        secrets={"MONGO_HOST": ("mongo", "uri")},
    )["env"]
    by_name = {each["name"]: each for each in env}
    assert len(by_name) == len(env)
    assert by_name["KAFKA_HOST"]["value"] == "kafka"
    assert by_name["EXTRA"]["value"] == "1"
    assert by_name["MONGO_HOST"]["valueFrom"] == {"secretKeyRef": {"name": "mongo", "key": "uri"}}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"needs": Needs(gpu_memory="2GiB")}, "whole GPUs"),
        ({"needs": Needs(nvenc=1)}, "whole GPUs"),
        ({"needs": Needs(tags=frozenset({"rtsp-lan"}))}, "rtsp-lan"),
        ({"gpus": Gpus(model="L4")}, "without a GPU"),
        ({"environment": {"a b": "1"}}, "no name of a variable"),
        ({"image": "two words"}, "no image"),
        ({"image": ""}, "no image"),
    ],
)
def test_what_a_pod_cannot_give_is_refused_with_the_remedy(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        spec(**options)
    assert refused.value.remedy


def test_tags_are_what_the_node_selector_says() -> None:
    made = spec(needs=Needs(tags=frozenset({"lan"})), node_selector={"zone": "lan"})
    assert made["nodeSelector"] == {"zone": "lan"}


@pytest.mark.parametrize(
    ("size", "text"), [(2**31, "2Gi"), (1536 * 2**20, "1536Mi"), (1000, "1000"), (2**10, "1Ki"), (0, "0")]
)
def test_quantities_are_exact(size: int, text: str) -> None:
    assert quantity(size) == text
