"""The bridge looks after Jobs and pods of runs, on a real Prefect server; the cluster is a stand-in that keeps objects.

`make test` has neither an apiserver nor Kubernetes' client.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled, Cancelling, Completed, Crashed, Pending, Running

from skald_bridge import connections
from skald_bridge.adapters.clock import SystemClock
from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.pods import Patience
from skald_bridge.main import bridge
from skald_bridge.services.pods import Pods
from skald_bridge.settings import Settings
from skald_bridge.wire.pod_facts import RUN_LABEL
from tests.services.prefect_server import PrefectServer
from tests.services.runs import Deployed, deploy, start, talking_to
from tests.services.skald_cli import skald

pytestmark = pytest.mark.server
SOON = Patience(cancel=timedelta(0), hooks=timedelta(0), claim=timedelta(0), report=timedelta(0))
LONG_AGO = "2026-01-01T12:00:00Z"


class Objects:
    """A namespace that keeps Jobs and pods; what is deleted is gone at once, with the pods of a Job."""

    namespace = "media"

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, dict[str, Any]] = {}
        self.away = False

    def add(self, run: UUID, name: str, phase: str = "Pending", succeeded: int = 0, **status: Any) -> str:
        labels = {RUN_LABEL: str(run)}
        meta = {"name": name, "creationTimestamp": LONG_AGO, "labels": labels}
        self.jobs[name] = {"metadata": meta, "status": {"succeeded": succeeded}}
        pod = f"{name}-pod"
        metadata = {**meta, "name": pod, "labels": {**labels, "batch.kubernetes.io/job-name": name}}
        self.pods[pod] = {"metadata": metadata, "status": {"phase": phase, **status}}
        return pod

    def list(self, kind: str, selector: str = "", fields: str = "") -> list[dict[str, Any]]:
        if self.away:
            raise Unavailable("The cluster does not answer")
        label, _, value = selector.partition("=")
        found = (self.jobs if kind == "Job" else self.pods).values()
        named = [each for each in found if value in ("", each["metadata"]["labels"].get(label))]
        match fields:
            case "status.successful=0":
                return [each for each in named if not each["status"]["succeeded"]]
            case "status.phase!=Succeeded":
                return [each for each in named if each["status"]["phase"] != "Succeeded"]
            case _:
                assert not fields
                return named

    def delete(self, kind: str, name: str) -> bool:
        assert kind == "Job"
        self.pods.pop(f"{name}-pod", None)
        return self.jobs.pop(name, None) is not None


class Site:
    """A pool of type kubernetes, runs of its deployment, and the duty that looks after them."""

    def __init__(self, client: PrefectClient, engine: PrefectEngine, deployed: Deployed) -> None:
        self.client, self.deployed = client, deployed
        self.cluster = Objects()
        self.duty = Pods(engine.in_kubernetes, self.cluster, [deployed.pool], SystemClock(), SOON)

    async def run(self, *states: Any, deployed: Deployed | None = None) -> UUID:
        run = await start(self.client, deployed or self.deployed)
        await self.move(run, *states)
        return run

    async def move(self, run: UUID, *states: Any) -> None:
        for each in states:
            await self.client.set_flow_run_state(run, each, force=True)

    async def until(self, true: Callable[[FlowRun], bool | Awaitable[bool]], run: UUID) -> FlowRun:
        """The duty at work until this is true of the run."""
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            await self.duty.step()
            found = await self.client.read_flow_run(run)
            answer = true(found)
            if answer if isinstance(answer, bool) else await answer:
                return found
            await asyncio.sleep(0.1)
        raise AssertionError((found.state, self.cluster.jobs))

    async def logged(self, run: UUID) -> list[str]:
        asked = {"logs": {"flow_run_id": {"any_": [str(run)]}}}
        async with httpx.AsyncClient(base_url=str(self.client.api_url)) as http:
            return [entry["message"] for entry in (await http.post("logs/filter", json=asked)).json()]


@pytest.fixture
async def site(client: PrefectClient, engine: PrefectEngine) -> Site:
    return Site(client, engine, await deploy(client, pool_type="kubernetes"))


def is_cancelled(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_cancelled()


async def test_a_run_cancelled_while_its_pod_waits_is_cancelled_and_its_job_goes(site: Site) -> None:
    run = await site.run(Pending())
    site.cluster.add(run, "j")
    await site.duty.step()
    assert "j" in site.cluster.jobs
    await site.move(run, Cancelling())
    found = await site.until(lambda run: is_cancelled(run) and not site.cluster.jobs, run)
    assert found.state.message == "Cancelled: its pod had not started."


async def test_a_pod_that_ignores_its_cancellation_is_deleted_once_its_run_has_ended(site: Site) -> None:
    run = await site.run(Pending(), Running(), Cancelling())
    site.cluster.add(run, "j", "Running")
    found = await site.until(lambda run: is_cancelled(run) and not site.cluster.jobs, run)
    assert "did not end by itself" in found.state.message


async def test_a_cancelled_run_without_a_pod_does_not_wait_for_one(site: Site) -> None:
    run = await site.run(Pending(), Cancelling())
    await site.until(is_cancelled, run)


async def test_the_job_of_a_cancelled_run_goes_though_its_pod_succeeded(site: Site) -> None:
    run = await site.run(Pending(), Running(), Cancelled())
    site.cluster.add(run, "j", "Succeeded", succeeded=1)
    await site.until(lambda run: not site.cluster.jobs, run)


async def test_other_runs_keep_their_jobs(site: Site, client: PrefectClient) -> None:
    theirs = await site.run(Pending(), Cancelled(), deployed=await deploy(client, pool_type="kubernetes"))
    kept = {"of another pool": theirs, "of no run that Prefect knows": UUID(int=7)}
    kept["at work"] = await site.run(Pending(), Running())
    kept["complete"] = await site.run(Pending(), Running(), Completed())
    kept["crashed"] = await site.run(Pending(), Running(), Crashed())
    for name, run in kept.items():
        site.cluster.add(
            run, name, "Succeeded" if name == "complete" else "Running", succeeded=name == "complete"
        )
    run = await site.run(Pending(), Cancelling())
    site.cluster.add(run, "cancelled")
    await site.until(lambda run: is_cancelled(run) and "cancelled" not in site.cluster.jobs, run)
    assert set(site.cluster.jobs) == set(kept)


async def test_runs_whose_jobs_are_in_another_namespace_are_left_alone(site: Site) -> None:
    """They have no Job here, which says nothing."""
    pending, cancelling = await site.run(Pending()), await site.run(Pending(), Running(), Cancelling())
    for run in (pending, cancelling):
        await site.client.update_flow_run(run, infrastructure_pid=f"elsewhere:job-{run}")
    gone = await site.run(Pending(), Running(), Cancelling())
    await site.client.update_flow_run(gone, infrastructure_pid="media:job")
    await site.until(is_cancelled, gone)
    assert (await site.client.read_flow_run(pending)).state.is_pending()
    assert (await site.client.read_flow_run(cancelling)).state.is_cancelling()


async def test_a_pod_that_goes_on_after_its_run_completed_is_deleted(site: Site) -> None:
    run = await site.run(Pending(), Running(), Completed())
    site.cluster.add(run, "j", "Running")
    await site.until(lambda run: not site.cluster.jobs, run)


async def test_a_claim_without_a_job_is_taken_back(site: Site) -> None:
    with_job = await site.run(Pending())
    site.cluster.add(with_job, "j")
    run = await site.run(Pending())
    found = await site.until(lambda run: run.state.is_scheduled(), run)
    assert found.state.message == "A worker took it, and made no Job in 0 s."
    assert (await site.client.read_flow_run(with_job)).state.is_pending()


async def test_what_keeps_a_pod_is_said_on_its_run_once(
    site: Site, server: PrefectServer, engine: PrefectEngine, tmp_path: Path
) -> None:
    run = await site.run(Pending())
    words = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
    site.cluster.add(run, "j", conditions=[condition])
    found = await site.until(lambda run: run.state.name == "Unschedulable", run)
    assert found.state.message == f"Pod j-pod: it cannot be scheduled: {words}"
    said = skald("why", str(run), home=tmp_path, env={"PREFECT_API_URL": server.url})
    assert said.code == 0, said
    assert "A worker of type kubernetes has taken it" in said.out
    assert words in " ".join(said.out.split())
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    status = [{"name": "c", "image": "x:1", "state": {"waiting": waiting}}]
    site.cluster.add(run, "j", containerStatuses=status)
    found = await site.until(lambda run: run.state.name == "WaitingForPod", run)
    assert found.state.message == "Pod j-pod: image x:1: ImagePullBackOff: no such image"
    again = Pods(engine.in_kubernetes, site.cluster, [site.deployed.pool], SystemClock(), SOON)
    await again.step()
    assert len(await site.logged(run)) == 2


async def test_out_of_memory_is_named_and_the_run_knows_its_pod(site: Site, tmp_path: Path) -> None:
    run = await site.run(Pending(), Running())
    site.cluster.add(run, "j", "Running")
    await site.until(lambda run: run.labels.get("skald.node") == "k8s/media/j-pod", run)
    async with bridge(tmp_path / "journal.db", Settings.model_construct()) as made:
        await made.sweep.step()
        document = await made._stores.archive.get(TaskId(str(run)))
        assert document is not None
        assert document.executor == "k8s/media/j-pod"
    killed = [{"name": "c", "state": {"terminated": {"reason": "OOMKilled"}}}]
    site.cluster.add(run, "j", "Failed", containerStatuses=killed)
    await site.move(run, Crashed(message="-9"))

    async def named(_: FlowRun) -> bool:
        return "Pod j-pod: out of memory (OOMKilled): the node had none left" in await site.logged(run)

    await site.until(named, run)


async def test_a_run_that_goes_on_meanwhile_holds_up_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Prefect refuses for one run, it is not asked for the next in vain."""
    first, second = await site.run(Pending()), await site.run(Pending())
    condition = {"type": "PodScheduled", "status": "False", "message": "none"}
    for run in (first, second):
        site.cluster.add(run, f"j-{run}", conditions=[condition])
    refused = site.duty._runs.say

    async def say(task: Any, text: str, state: str | None) -> None:
        if task.run == str(second):
            await site.move(second, Running())
        await refused(task, text, state)

    monkeypatch.setattr(site.duty._runs, "say", say)
    await site.until(lambda run: run.state.name == "Unschedulable", first)
    assert (await site.client.read_flow_run(second)).state.is_running()


async def test_a_cluster_that_is_away_is_an_error_of_the_step(site: Site) -> None:
    site.cluster.away = True
    with pytest.raises(Unavailable):
        await site.duty.step()


@pytest.fixture
async def bridged(server: PrefectServer) -> AsyncIterator[None]:
    with talking_to(server.url):
        yield


async def test_it_is_a_duty_of_the_bridge_where_pools_are_named(
    bridged: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def cluster(*named: str | None) -> Objects:
        asked.append(named)
        return Objects()

    monkeypatch.setattr(connections, "cluster", cluster)
    async with bridge(tmp_path / "a.db", Settings.model_construct()) as made:
        assert "pods" not in [loop.name for loop in made.loops]
    settings = Settings.model_construct(kubernetes_pools=("k8s",), kubernetes_namespace="media")
    async with bridge(tmp_path / "b.db", settings) as made:
        assert "pods" in [loop.name for loop in made.loops]
    assert asked == [(None, None, "media")]
