"""The base job template of a pool of type kubernetes, as Prefect's own worker renders it."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from kubernetes import client, config
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.states import Pending
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

from skald_work_pools.kubernetes_job import job_variables
from skald_work_pools.kubernetes_pool import KubernetesPool, Volume, base_job_template
from skald_work_pools.needs import Needs
from tests.services.kubernetes.cluster import ControlPlane

pytestmark = pytest.mark.kubernetes

FULL = KubernetesPool(
    image="registry/flows:1",
    namespace="media",
    gpu_resource="nvidia.com/mig-1g.5gb",
    gpu_model="NVIDIA-L4",
    node_selector={"zone": "a"},
    tolerations=[{"key": "spot", "operator": "Exists"}],
    affinity={"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    priority_class="urgent",
    runtime_class="nvidia",
    service_account="flows",
    image_pull_policy="Always",
    image_pull_secrets=["registry"],
    shared_memory=2**30,
    volumes=[Volume("media", "/media"), Volume("/srv/cache", "/cache", host_path=True, read_only=True)],
    environment={"LOG_LEVEL": "DEBUG"},
    secrets={"MONGO_HOST": ("mongo", "uri")},
    keep=60,
    deadline=7200,
    grace=45,
)


def rendered(pool: KubernetesPool, **variables: Any) -> dict[str, Any]:
    """The Job that Prefect's worker would create for a run with these job variables."""
    kind = KubernetesWorkerJobConfiguration
    # It would be asked for blocks, of which the template names none.
    silent = PrefectClient("http://127.0.0.1:9/api")
    made = asyncio.run(kind.from_template_and_values(base_job_template(pool), variables, client=silent))
    run = FlowRun(id=uuid4(), flow_id=uuid4(), name="a-run", state=Pending())
    made.prepare_for_flow_run(run)
    assert made.job_manifest["metadata"]["labels"]["prefect.io/flow-run-id"] == str(run.id)
    pod = made.job_manifest["spec"]["template"]
    assert pod["metadata"]["labels"]["prefect.io/flow-run-id"] == str(run.id)
    manifest: dict[str, Any] = made.job_manifest
    return manifest


def container(job: dict[str, Any]) -> dict[str, Any]:
    (found,) = job["spec"]["template"]["spec"]["containers"]
    return dict(found)


def unresolved(value: object) -> bool:
    return "{{" in str(value)


def test_a_pool_that_says_nothing_is_a_plain_job() -> None:
    job = rendered(KubernetesPool())
    assert not unresolved(job)
    spec = job["spec"]["template"]["spec"]
    assert set(spec) == {
        "parallelism",
        "completions",
        "restartPolicy",
        "terminationGracePeriodSeconds",
        "containers",
    }
    assert spec["terminationGracePeriodSeconds"] == 30
    assert job["metadata"]["namespace"] == "default"
    assert job["spec"]["ttlSecondsAfterFinished"] == 3600
    assert "activeDeadlineSeconds" not in job["spec"]
    assert container(job)["resources"] == {"requests": {}, "limits": {}}
    assert container(job)["args"] == ["prefect", "flow-run", "execute"]


def test_everything_that_a_pool_can_say_is_in_the_job() -> None:
    job = rendered(FULL)
    assert not unresolved(job)
    spec, one = job["spec"]["template"]["spec"], container(job)
    assert job["metadata"]["namespace"] == "media"
    assert (job["spec"]["ttlSecondsAfterFinished"], job["spec"]["activeDeadlineSeconds"]) == (60, 7200)
    assert spec["nodeSelector"] == {"zone": "a", "nvidia.com/gpu.product": "NVIDIA-L4"}
    assert spec["tolerations"] == FULL.tolerations
    assert spec["affinity"] == FULL.affinity
    assert (spec["priorityClassName"], spec["runtimeClassName"]) == ("urgent", "nvidia")
    assert (spec["serviceAccountName"], spec["terminationGracePeriodSeconds"]) == ("flows", 45)
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["volumes"] == [
        {"name": "volume-1", "persistentVolumeClaim": {"claimName": "media", "readOnly": False}},
        {"name": "volume-2", "hostPath": {"path": "/srv/cache"}},
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
    ]
    assert one["volumeMounts"] == [
        {"name": "volume-1", "mountPath": "/media", "readOnly": False},
        {"name": "volume-2", "mountPath": "/cache", "readOnly": True},
        {"name": "shared-memory", "mountPath": "/dev/shm"},
    ]
    assert (one["image"], one["imagePullPolicy"]) == ("registry/flows:1", "Always")
    env = {each["name"]: each for each in one["env"]}
    assert env["LOG_LEVEL"]["value"] == "DEBUG"
    assert env["MONGO_HOST"]["valueFrom"] == {"secretKeyRef": {"name": "mongo", "key": "uri"}}


def test_needs_are_what_the_pod_asks_for() -> None:
    needs = Needs(cpus=1.5, memory="2GiB", gpus=2, tags={"lan"})
    job = rendered(FULL, **job_variables(needs, {}, base_job_template(FULL)))
    assert container(job)["resources"] == {
        "requests": {"cpu": "1500m", "memory": "2Gi", "nvidia.com/mig-1g.5gb": 2},
        "limits": {"memory": "2Gi", "nvidia.com/mig-1g.5gb": 2},
    }
    spec = job["spec"]["template"]["spec"]
    assert spec["nodeSelector"]["skald/lan"] == "true"
    assert [each["key"] for each in spec["tolerations"]] == ["spot", "nvidia.com/gpu"]


def test_a_deployment_may_say_otherwise() -> None:
    job = rendered(FULL, image="other:2", grace=5, deadline=60, shared_memory="2Gi", namespace="elsewhere")
    assert container(job)["image"] == "other:2"
    assert job["spec"]["activeDeadlineSeconds"] == 60
    assert job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 5
    assert job["spec"]["template"]["spec"]["volumes"][-1]["emptyDir"]["sizeLimit"] == "2Gi"
    assert job["metadata"]["namespace"] == "elsewhere"


def test_an_evicted_pod_is_never_replaced_by_its_job_but_by_prefect() -> None:
    job = rendered(FULL)
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["podFailurePolicy"]["rules"][0]["action"] == "FailJob"
    assert job["spec"]["podReplacementPolicy"] == "Failed"
    env = {each["name"]: each.get("value") for each in container(job)["env"]}
    assert env["PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"] == "reschedule"


@pytest.mark.parametrize("pool", [KubernetesPool(), FULL], ids=["plain", "full"])
def test_the_cluster_takes_it(plane: ControlPlane, namespace: str, pool: KubernetesPool) -> None:
    needs = Needs(cpus=0.5, memory="512MB", gpus=1, tags={"lan"})
    job = rendered(pool, namespace=namespace, **job_variables(needs, {}, base_job_template(pool)))
    api = client.BatchV1Api(config.new_client_from_config(str(plane.admin)))
    made = api.create_namespaced_job(namespace, job, dry_run="All")
    (one,) = made.spec.template.spec.containers
    assert one.resources.limits == {"memory": "500000Ki", pool.gpu_resource: "1"}
    assert one.resources.requests == {"cpu": "500m", **one.resources.limits}
    assert made.spec.pod_failure_policy.rules[0].action == "FailJob"
    assert made.spec.template.spec.node_selector["skald/lan"] == "true"
