"""Child tasks driven through their states by hand: found again, tried again, cancelled."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect import flow, get_client, runtime
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Failed, Running

from skald_bridge.media import children as module
from skald_bridge.media.children import ChildFailed, Children
from tests.services import runs
from tests.services.crowd import copy_runs
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer

pytestmark = pytest.mark.server


@pytest.fixture
def deployment(server: PrefectServer) -> Iterator[str]:
    async def deploy() -> runs.Deployed:
        async with runs.client_of(server.url) as client:
            return await runs.deploy(client)

    made = asyncio.run(deploy())
    with runs.talking_to(server.url), get_client(sync_client=True) as client:
        yield f"{made.class_name}/{client.read_deployment(made.deployment).name}"


@flow(name="parent")
def parent(work: Callable[[], Any]) -> Any:
    return work()


def in_parent(work: Callable[[UUID], Any]) -> tuple[threading.Thread, list[Any], list[UUID]]:
    """``work`` inside a flow run on a thread, its outcome, and the run's id."""
    outcome: list[Any] = []
    ids: list[UUID] = []

    def inside() -> None:
        ids.append(UUID(str(runtime.flow_run.get_id())))
        try:
            outcome.append(work(ids[0]))
        except Exception as error:
            outcome.append(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: context.run(lambda: parent.with_options()(inside)))
    thread.start()
    until(lambda: ids, 20, "the parent runs")
    return thread, outcome, ids


def children_of(run: UUID) -> list[FlowRun]:
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(
            flow_run_filter=FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run]))
        )


def child(run: UUID, count: int = 1) -> FlowRun:
    found = until(lambda: len(children_of(run)) >= count and children_of(run), 20, f"{count} children")
    return max(found, key=lambda each: each.created or each.expected_start_time)


def put(run: FlowRun, *states: Any) -> None:
    with get_client(sync_client=True) as client:
        for state in states:
            client.set_flow_run_state(run.id, state, force=True)


def refused(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "http://server")
    return httpx.HTTPStatusError(
        str(status), request=request, response=httpx.Response(status, request=request)
    )


GIVEN = {"attachments": {"inputUrl": "x"}}


def test_a_completed_child_is_returned_and_found_again(deployment):
    children, key = Children(), uuid4().hex
    thread, outcome, ids = in_parent(lambda _: children.run(deployment, GIVEN, name="c 1", key=key))
    started = child(ids[0])
    assert started.name == "c 1"
    put(started, Running(), Completed())
    thread.join(20)
    assert outcome[0].id == started.id
    thread, again, _ = in_parent(lambda _: Children().run(deployment, GIVEN, name="c 1", key=key))
    thread.join(20)
    assert again[0].id == started.id


def test_a_failed_child_is_an_error_and_the_next_try_a_new_child(deployment):
    key = uuid4().hex
    thread, outcome, ids = in_parent(lambda _: Children().run(deployment, GIVEN, name="c", key=key))
    put(first := child(ids[0]), Running(), Failed(message="ffmpeg failed"))
    thread.join(20)
    assert isinstance(outcome[0], ChildFailed)
    assert str(outcome[0]) == "child task c ended Failed: ffmpeg failed"
    thread, outcome, ids = in_parent(lambda _: Children().run(deployment, GIVEN, name="c", key=key))
    put(second := child(ids[0]), Running(), Completed())
    thread.join(20)
    assert outcome[0].id == second.id != first.id


def test_closing_cancels_what_is_alive(deployment):
    children = Children()
    thread, outcome, ids = in_parent(lambda _: children.run(deployment, GIVEN, name="c", key=uuid4().hex))
    put(started := child(ids[0]), Running())
    children.close(cancel=True)
    thread.join(20)
    assert "given up" in str(outcome[0])
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(started.id).state.type == "CANCELLING"


def test_a_child_that_was_deleted_ends_the_wait_of_its_parent(deployment):
    thread, outcome, ids = in_parent(lambda _: Children().run(deployment, GIVEN, name="c", key=uuid4().hex))
    started = child(ids[0])
    with get_client(sync_client=True) as client:
        client.delete_flow_run(started.id)
    thread.join(20)
    assert isinstance(outcome[0], ChildFailed) and "it was deleted" in str(outcome[0])


@pytest.mark.parametrize("defect", [RuntimeError("a defect"), refused(422)])
def test_what_keeps_a_parent_from_watching_ends_every_wait_with_its_cause(deployment, monkeypatch, defect):
    broken = threading.Event()

    def read(client, run_ids):
        if broken.is_set():
            raise defect
        return reading(client, run_ids)

    reading = module._read
    monkeypatch.setattr(module, "_read", read)
    children = Children()

    def work(run: UUID) -> Any:
        return children.run(deployment, GIVEN, name=f"c {run}", key=uuid4().hex)

    both = [in_parent(work) for _ in range(2)]
    for _, _, ids in both:
        child(ids[0])
    broken.set()
    for thread, outcome, _ in both:
        thread.join(20)
        assert isinstance(outcome[0], ChildFailed) and outcome[0].__cause__ is defect
    broken.clear()
    thread, outcome, ids = in_parent(work)
    put(child(ids[0]), Running(), Completed())
    thread.join(20)
    assert isinstance(outcome[0], FlowRun), "a later wait begins anew"


def test_a_server_that_is_away_for_a_while_is_waited_for(deployment, monkeypatch):
    answers = iter([httpx.ConnectError("refused"), refused(503), refused(429)])

    def read(client, run_ids):
        if (error := next(answers, None)) is not None:
            raise error
        return reading(client, run_ids)

    reading = module._read
    monkeypatch.setattr(module, "_read", read)
    thread, outcome, ids = in_parent(lambda _: Children().run(deployment, GIVEN, name="c", key=uuid4().hex))
    put(child(ids[0]), Running(), Completed())
    thread.join(30)
    assert isinstance(outcome[0], FlowRun)


def test_the_ends_of_more_children_than_one_answer_holds_are_seen(deployment, server):
    thread, _, ids = in_parent(lambda _: Children().run(deployment, GIVEN, name="c", key=uuid4().hex))
    put(first := child(ids[0]), Running(), Completed())
    thread.join(20)
    runs_ = [first.id, *map(UUID, copy_runs(server, str(first.id), 449))]
    children = Children()
    children._open = set(runs_)
    children._watch()
    assert set(children._ended) == set(runs_)
    assert all(isinstance(run, FlowRun) and run.state.is_completed() for run in children._ended.values())
