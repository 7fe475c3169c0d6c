"""The bridge looks after Jobs and pods of runs: a real Prefect server, a real apiserver and its controllers."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from kubernetes import client as kubernetes
from kubernetes import config
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled, Cancelling, Crashed, Pending, Running
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

from skald_bridge.adapters.clock import SystemClock
from skald_bridge.adapters.kubernetes import connected
from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.adapters.prefect_pool import save_kubernetes_pool
from skald_bridge.domain.pods import Patience
from skald_bridge.services.pods import Pods
from skald_bridge.wire.pod_facts import RUN_LABEL
from skald_work_pools.kubernetes_pool import KubernetesPool, base_job_template
from tests.services.bridge_process import BridgeProcess
from tests.services.kubernetes.cluster import ControlPlane
from tests.services.kubernetes.node import Node
from tests.services.kubernetes.rights import least_rights
from tests.services.poll import until
from tests.services.prefect_cli import running
from tests.services.prefect_server import PrefectServer
from tests.services.runs import Deployed, client_of, deploy, start, talking_to
from tests.services.skald_cli import skald

pytestmark = [pytest.mark.kubernetes, pytest.mark.server]
SOON = Patience(
    cancel=timedelta(seconds=1), hooks=timedelta(seconds=1), claim=timedelta(seconds=1), report=timedelta(0)
)


class Site:
    """A pool of type kubernetes, runs of its deployment, their Jobs, and the duty that looks after them."""

    def __init__(
        self, client: PrefectClient, deployed: Deployed, plane: ControlPlane, namespace: str, duty: Pods
    ) -> None:
        self.client, self.deployed, self.namespace, self.duty = client, deployed, namespace, duty
        api = config.new_client_from_config(str(plane.admin))
        self.batch, self.core = kubernetes.BatchV1Api(api), kubernetes.CoreV1Api(api)

    async def run(self, *states: Any) -> FlowRun:
        id_ = await start(self.client, self.deployed)
        return await self.moved(id_, *states)

    async def moved(self, id_: UUID, *states: Any) -> FlowRun:
        for each in states:
            await self.client.set_flow_run_state(id_, each, force=True)
        return await self.client.read_flow_run(id_)

    async def job(self, run: FlowRun) -> str:
        """The Job that Prefect's worker makes for it."""
        template = base_job_template(KubernetesPool(namespace=self.namespace))
        made = await KubernetesWorkerJobConfiguration.from_template_and_values(template, {"memory": "1Gi"})
        made.prepare_for_flow_run(run)
        return str(self.batch.create_namespaced_job(self.namespace, made.job_manifest).metadata.name)

    def jobs(self, run: FlowRun) -> list[Any]:
        return list(self.batch.list_namespaced_job(self.namespace, label_selector=_of(run)).items)

    def pods(self, run: FlowRun) -> list[Any]:
        return list(self.core.list_namespaced_pod(self.namespace, label_selector=_of(run)).items)

    async def until(self, true: Callable[[FlowRun], bool | Awaitable[bool]], run: FlowRun) -> FlowRun:
        """The duty at work until this is true of the run."""
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            await self.duty.step()
            found = await self.client.read_flow_run(run.id)
            answer = true(found)
            if answer if isinstance(answer, bool) else await answer:
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"{(await self.client.read_flow_run(run.id)).state}, Jobs {self.jobs(run)}")


def _of(run: FlowRun) -> str:
    return f"{RUN_LABEL}={run.id}"


@pytest.fixture
async def client(server: PrefectServer) -> AsyncIterator[PrefectClient]:
    async with client_of(server.url) as client:
        yield client


@pytest.fixture
async def site(
    server: PrefectServer, client: PrefectClient, plane: ControlPlane, namespace: str
) -> AsyncIterator[Site]:
    deployed = await deploy(client, pool_type="kubernetes")
    cluster = connected(str(plane.admin), None, namespace)
    with talking_to(server.url):
        async with PrefectEngine() as engine:
            duty = Pods(engine.in_kubernetes, cluster, [deployed.pool], SystemClock(), SOON)
            yield Site(client, deployed, plane, namespace, duty)


def is_cancelled(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_cancelled()


async def test_a_run_cancelled_while_its_pod_waits_is_cancelled_and_its_job_goes(site: Site) -> None:
    run = await site.run(Pending())
    await site.job(run)
    until(lambda: site.pods(run), 60, "a pod")
    await site.moved(run.id, Cancelling())
    found = await site.until(lambda run: is_cancelled(run) and not site.jobs(run), run)
    assert "had not started" in found.state.message
    until(lambda: not site.pods(run), 60, "the pod's end")


async def test_a_pod_that_ignores_its_cancellation_is_deleted(site: Site, node: Node) -> None:
    run = await site.run(Pending(), Running())
    await site.job(run)
    pod = node.pod(site.namespace, str(run.id), RUN_LABEL)
    node.ready(site.namespace, pod)
    await site.moved(run.id, Cancelling())
    found = await site.until(
        lambda run: is_cancelled(run) and bool(site.jobs(run)[0].metadata.deletion_timestamp), run
    )
    assert "did not end by itself" in found.state.message
    (leaving,) = site.pods(run)
    assert leaving.metadata.deletion_timestamp is not None
    node.gone(site.namespace, pod)
    until(lambda: not site.jobs(run), 60, "the Job's end")


async def test_the_job_of_a_cancelled_run_goes_though_its_pod_succeeded(site: Site, node: Node) -> None:
    run = await site.run(Pending(), Running())
    await site.job(run)
    pod = node.pod(site.namespace, str(run.id), RUN_LABEL)
    node.ready(site.namespace, pod)
    await site.moved(run.id, Cancelled())
    node.ended(site.namespace, pod, 0)
    until(lambda: site.jobs(run)[0].status.succeeded, 60, "the Job's success")
    await site.until(lambda run: not site.jobs(run), run)


async def test_jobs_of_others_are_left_alone(site: Site, client: PrefectClient) -> None:
    other = await deploy(client, pool_type="kubernetes")
    theirs = await client.read_flow_run(await start(client, other))
    await site.job(theirs)
    await site.moved(theirs.id, Pending(), Cancelled())
    run = await site.run(Pending())
    await site.job(run)
    await site.moved(run.id, Cancelling())
    await site.until(lambda run: is_cancelled(run) and not site.jobs(run), run)
    assert len(site.jobs(theirs)) == 1


async def test_a_claim_without_a_job_is_taken_back(site: Site) -> None:
    run = await site.run(Pending())
    found = await site.until(lambda run: run.state.is_scheduled(), run)
    assert found.state.message == "A worker took it, and made no Job in 1 s."
    claimed = await site.run(Pending())
    await site.job(claimed)
    await site.until(lambda run: run.state.is_scheduled(), await site.run(Pending()))
    assert (await site.client.read_flow_run(claimed.id)).state.is_pending()


async def test_what_keeps_a_pod_is_said_on_its_run(
    site: Site, node: Node, server: PrefectServer, tmp_path: Path
) -> None:
    run = await site.run(Pending())
    await site.job(run)
    pod = until(lambda: site.pods(run), 60, "a pod")[0].metadata.name
    words = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    node.unschedulable(site.namespace, pod, words)
    found = await site.until(lambda run: run.state.name == "Unschedulable", run)
    assert found.state.message == f"Pod {pod}: it cannot be scheduled: {words}"
    said = skald("why", str(run.id), home=tmp_path, env={"PREFECT_API_URL": server.url})
    assert said.code == 0, said
    assert words in " ".join(said.out.split())
    node.waits(site.namespace, pod, "ImagePullBackOff", "no such image")
    core = site.core
    condition = {"type": "PodScheduled", "status": "True"}
    core.patch_namespaced_pod_status(pod, site.namespace, {"status": {"conditions": [condition]}})
    found = await site.until(lambda run: run.state.name == "WaitingForPod", run)
    assert found.state.message == f"Pod {pod}: image x: ImagePullBackOff: no such image"
    await site.duty.step()
    entries = await site.client.read_logs()
    mine = [entry.message for entry in entries if entry.flow_run_id == run.id]
    assert len(mine) == len(set(mine)) == 2, mine


@pytest.mark.parametrize("code", [137, 0])
async def test_out_of_memory_is_named(site: Site, node: Node, code: int) -> None:
    run = await site.run(Pending(), Running())
    await site.job(run)
    pod = node.pod(site.namespace, str(run.id), RUN_LABEL)
    node.out_of_memory(site.namespace, pod, code)
    if not code:
        until(lambda: site.jobs(run)[0].status.succeeded, 60, "the Job's success")
    await site.moved(run.id, Crashed(message="-9"))

    async def named(run: FlowRun) -> bool:
        entries = await site.client.read_logs()
        words = f"Pod {pod}: out of memory (OOMKilled): it needed more than its limit of 1Gi"
        return any((entry.flow_run_id, entry.message) == (run.id, words) for entry in entries)

    await site.until(named, run)


async def test_a_run_knows_its_pod(site: Site, node: Node) -> None:
    run = await site.run(Pending(), Running())
    await site.job(run)
    pod = node.pod(site.namespace, str(run.id), RUN_LABEL)
    node.ready(site.namespace, pod)
    wanted = f"k8s/{site.namespace}/{pod}"
    await site.until(lambda run: run.labels.get("skald.node") == wanted, run)


async def test_with_prefects_worker_and_the_bridge_as_processes(
    server: PrefectServer,
    client: PrefectClient,
    plane: ControlPlane,
    namespace: str,
    node: Node,
    tmp_path: Path,
) -> None:
    """A run gets its pod by Prefect's own worker, its executor by the bridge; cancelled while it waits, it is gone.

    Both have the rights of `deployments/kubernetes/`, and no more.
    """
    deployed = await deploy(client, pool_type="kubernetes")
    with talking_to(server.url):
        assert await save_kubernetes_pool(deployed.pool, KubernetesPool(image="x:1", namespace=namespace))
    rights = least_rights(plane, namespace)
    observed = {
        "KUBECONFIG": str(rights["prefect-worker"]),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_NAMESPACES": namespace,
    }
    watched = {
        "KUBECONFIG": str(rights["skald-bridge"]),
        "SKALD_KUBERNETES_POOLS": deployed.pool,
        "SKALD_KUBERNETES_NAMESPACE": namespace,
    }
    worker = [
        sys.executable,
        "-m",
        "prefect",
        "worker",
        "start",
        "--type",
        "kubernetes",
        "--pool",
        deployed.pool,
    ]
    bridge = BridgeProcess(tmp_path / "journal.db", {**server.client_env, **watched})
    core = kubernetes.CoreV1Api(config.new_client_from_config(str(plane.admin)))

    def pods(run: UUID) -> list[Any]:
        return list(core.list_namespaced_pod(namespace, label_selector=f"{RUN_LABEL}={run}").items)

    async def until_so(true: Callable[[FlowRun], bool], run: UUID, what: str) -> float:
        began = time.monotonic()
        while not true(found := await client.read_flow_run(run)):
            assert time.monotonic() < began + 120, f"{what}: {found.state}; {bridge.log()[-2000:]}"
            await asyncio.sleep(0.1)
        return time.monotonic() - began

    bridge.start()
    try:
        with running(server, worker, tmp_path / "worker.log", observed):
            waits, runs = await start(client, deployed), await start(client, deployed)
            pod = await asyncio.to_thread(node.pod, namespace, str(runs), RUN_LABEL)
            node.ready(namespace, pod)
            wanted = f"k8s/{namespace}/{pod}"
            await until_so(lambda run: run.labels.get("skald.node") == wanted, runs, "executor")
            await until_so(lambda run: bool(pods(run.id)), waits, "a pod")
            await client.set_flow_run_state(waits, Cancelling())
            cancelled = await until_so(is_cancelled, waits, "Cancelled")
            gone = cancelled + await until_so(lambda run: not pods(run.id), waits, "the pod's end")
            print(f"cancelled while pending: Cancelled after {cancelled:.1f} s, pod gone after {gone:.1f} s")
            node.logs[pod] = "its last words\n"
            await client.set_flow_run_state(runs, Running(), force=True)
            node.ended(namespace, pod, 1)
            await until_so(lambda run: run.state is not None and run.state.is_crashed(), runs, "Crashed")
    finally:
        bridge.kill()
    for said in ((tmp_path / "worker.log").read_text(), bridge.log()):
        assert "forbidden" not in said.lower(), said[-5000:]
