from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from unittest.mock import AsyncMock, MagicMock
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.events import Event, Resource
from prefect.states import Paused, Pending, Running, Scheduled

from skald_work_pools.leases import Lease
from skald_work_pools.needs import Needs
from skald_work_pools.node.forked.processes import Exit
from skald_work_pools.node.reconcile.state_reconciler import StateReconciler
from skald_work_pools.node.runs import run_supervisor as module
from skald_work_pools.node.runs.outcomes import Ended
from skald_work_pools.node.runs.run_supervisor import RunSupervisor


def told(run: FlowRun, revision: int, crf: int) -> dict[str, Any]:
    parameters = {"attachments": {"crf": crf}}
    return {"id": str(run.id), "parameters": parameters, "labels": {"skald.revision": revision}}


@pytest.mark.parametrize("newest", [(3, 30), None])
async def test_a_task_begins_with_what_was_stored_after_its_node_had_asked_for_it(
    newest: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = FlowRun(id=uuid4(), flow_id=uuid4(), name="n")
    context = MagicMock(name="context")
    context.api.claim = AsyncMock(return_value=Pending())
    context.api.newest = AsyncMock(return_value=told(run, *newest) if newest else None)
    lease = Lease(str(run.id), Needs(), (), datetime.now(UTC))
    life = RunSupervisor(context, run, told(run, 1, 10), MagicMock(), None, lease, {}, print, print)
    monkeypatch.setattr(life._launcher, "launch", AsyncMock(return_value=MagicMock()))
    monkeypatch.setattr(life, "_watch", AsyncMock(return_value=Exit(code=0)))
    monkeypatch.setattr(module, "RunFinalizer", lambda _: MagicMock(settle=AsyncMock(return_value=Ended())))

    await asyncio.wait_for(life.live("pool"), 10)

    revision, crf = newest or (1, 10)
    assert life.request(Pending()).flow_run["parameters"] == {"attachments": {"crf": crf}}
    assert (life.revision, life.parameters) == (revision, {"attachments": {"crf": crf}})
    assert life.request(Pending()).revision == revision


@pytest.mark.parametrize(
    ("found", "newest", "runs"), [(0, 0, True), (1, 1, True), (0, 1, False), (1, 2, False)]
)
async def test_a_run_that_was_run_since_it_was_found_is_not_run_again(
    found: int, newest: int, runs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = FlowRun(id=uuid4(), flow_id=uuid4(), name="n", run_count=found)
    context, child, claim = MagicMock(name="context"), MagicMock(name="child"), Pending()
    context.api.claim = AsyncMock(return_value=claim)
    context.api.newest = AsyncMock(return_value={**told(run, 1, 10), "run_count": newest})
    context.api.undo = AsyncMock()
    child.exited = AsyncMock(return_value=Exit(code=0))
    lease = Lease(str(run.id), Needs(), (), datetime.now(UTC))
    life = RunSupervisor(context, run, told(run, 1, 10), MagicMock(), None, lease, False, print, print)
    monkeypatch.setattr(life._launcher, "launch", AsyncMock(return_value=child))
    watch = AsyncMock(return_value=Exit(code=0))
    monkeypatch.setattr(life, "_watch", watch)
    monkeypatch.setattr(module, "RunFinalizer", lambda _: MagicMock(settle=AsyncMock(return_value=Ended())))

    ended = await asyncio.wait_for(life.live("pool"), 10)

    assert (watch.called, child.kill.called) == (runs, not runs)
    assert child.close.called and life.running.is_set()
    if not runs:
        context.api.undo.assert_awaited_once_with(run.id, claim)
        assert ended.end is None and life.claimed


async def test_before_its_claim_is_answered_a_run_s_state_is_nobody_s_interference() -> None:
    run = FlowRun(id=uuid4(), flow_id=uuid4(), name="n", state=Scheduled())
    context = MagicMock(name="context")
    lease = Lease(str(run.id), Needs(), (), datetime.now(UTC))
    life = RunSupervisor(context, run, told(run, 1, 10), MagicMock(), None, lease, {}, print, print)
    context.api.read_many = AsyncMock(return_value=[run])
    overseer = StateReconciler(context, {life.id: life})

    await overseer.sweep()
    assert not context.aside.called, "a slow claim is no reason to kill the process"
    life._mine.add(str(uuid4()))
    await overseer.sweep()
    assert context.aside.called
    context.aside.call_args.args[0].close()


async def test_an_answer_that_a_newer_one_has_overtaken_is_not_obeyed() -> None:
    paused, running = (asyncio.get_running_loop().create_future() for _ in range(2))
    state = Running()
    run = FlowRun(id=uuid4(), flow_id=uuid4(), name="n", state=state)
    tasks: list[asyncio.Task[None]] = []
    context = MagicMock(name="context")
    context.aside = lambda work: tasks.append(asyncio.create_task(work))
    answers = [paused, running]

    async def read(_: UUID) -> FlowRun:
        answer: FlowRun = await answers.pop(0)
        return answer

    context.api.read = read
    lease = Lease(str(run.id), Needs(), (), datetime.now(UTC))
    life = RunSupervisor(context, run, told(run, 1, 10), MagicMock(), None, lease, {}, print, print)
    life._mine.add(str(state.id))
    life.child = MagicMock()
    overseer = StateReconciler(context, {life.id: life})

    overseer.hear(stated(run, "PAUSED", "Paused"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    overseer.hear(stated(run, "RUNNING", "Running"))
    assert len(tasks) == 2, "it may be about to be frozen"
    running.set_result(run)
    await tasks[1]
    paused.set_result(run.model_copy(update={"state": Paused()}))
    await tasks[0]
    assert not life.frozen

    overseer.hear(stated(run, "RUNNING", "Running"))
    assert len(tasks) == 2, "nothing is to be thawed"


def stated(run: FlowRun, state_type: str, name: str) -> Event:
    about = {"prefect.resource.id": f"prefect.flow-run.{run.id}"}
    said = {"prefect.state-type": state_type, "prefect.state-name": name}
    return Event(event=f"prefect.flow-run.{name}", resource=Resource({**about, **said}))
