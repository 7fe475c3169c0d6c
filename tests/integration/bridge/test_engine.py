"""The Engine port over a real Prefect server, by each connection there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import LogCreate
from prefect.events import Event, Resource
from prefect.events.clients import get_events_client, get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.states import AwaitingRetry, Cancelled, Crashed, Suspended

from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.adapters.prefect_client import prefect_client
from skald_bridge.adapters.prefect_commands import TaskCommands
from skald_bridge.adapters.prefect_connection import Connect
from skald_bridge.adapters.prefect_http import plain_http
from skald_bridge.domain.errors import InvalidInput, NotFound, Rejected, Unavailable
from skald_bridge.domain.facts import RevisionHint, StateHint, Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_work_pools import messages
from tests.services.prefect_server import PrefectServer, free_port
from tests.services.runs import ATTACHMENTS, Deployed, life, live, start, talking_to


@pytest.fixture(params=["prefect", "http"])
def connect(request: pytest.FixtureRequest, server: PrefectServer) -> Connect:
    return prefect_client if request.param == "prefect" else lambda: plain_http(server.url)


@pytest.fixture
async def engine(server: PrefectServer, connect: Connect) -> AsyncIterator[PrefectEngine]:
    with talking_to(server.url):
        async with PrefectEngine(connect) as engine:
            yield engine


async def test_create_makes_one_run_per_idempotency_key(engine: PrefectEngine, deployed: Deployed) -> None:
    key, labels = uuid4().hex, {"skald.priority": 3}
    made = [
        await engine.create(
            deployed.class_name,
            ATTACHMENTS,
            idempotency_key=key,
            tags=["night"],
            labels=labels,
        )
        for _ in range(2)
    ]
    assert made[0].id == made[1].id
    task = await engine.task(made[0].id)
    assert task.class_name == deployed.class_name
    assert task.attachments == ATTACHMENTS
    assert task.tags == ("night",)
    assert task.labels["skald.priority"] == 3
    assert task.pool == deployed.pool
    assert task.deployment is not None
    assert task.state is not None and task.state.type is StateType.SCHEDULED


@pytest.mark.parametrize("named", ["cut the bikes/7 … ", ""], ids=["text", "uuid"])
async def test_a_task_keeps_the_id_that_skalds_gave_it(
    engine: PrefectEngine, connect: Connect, deployed: Deployed, client: PrefectClient, named: str
) -> None:
    id_ = TaskId(f"{named}{uuid4()}")
    made = await engine.create(deployed.class_name, ATTACHMENTS, task=id_, tags=["night"])
    assert made.id == id_
    assert made.run != id_
    assert made.tags == ("night",)
    # Somebody who has not seen its run yet; and a copy of the run, which has its tags, but is another task.
    copy = await client.create_flow_run_from_deployment(
        deployed.deployment, parameters={"attachments": ATTACHMENTS}, tags=[f"skald.task:{id_}"]
    )
    async with PrefectEngine(connect) as fresh:
        assert (await fresh.task(id_)).run == made.run
        assert (await fresh.read([id_, TaskId("nobody"), TaskId(str(copy.id))])).keys() == {id_, str(copy.id)}
    async with PrefectEngine(connect) as fresh:
        assert [state.type for state in await fresh.history(id_)] == [StateType.SCHEDULED]
        assert await fresh.subtasks(id_) == []
        assert await fresh.progress([id_]) == {}
        assert await fresh.node_log(id_) == []
        assert (await fresh.update(id_, {"inputUrl": "b.mp4"}, timeout=5))[:2] == ("stored", 2)
        assert (await fresh.task(id_)).attachments == {"inputUrl": "b.mp4"}
        await fresh.cancel(id_)
        with pytest.raises(NotFound, match="nobody"):
            await fresh.cancel(TaskId("nobody"))
    state = (await client.read_flow_run(UUID(made.run))).state
    assert state is not None and state.is_cancelled()


async def test_a_task_that_has_ended_begins_again_with_what_is_asked_for(
    engine: PrefectEngine, client: PrefectClient, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_, kind, others = TaskId(f"again-{uuid4().hex}"), deployed.class_name, {"inputUrl": "b.mp4"}
    made = await engine.create(kind, ATTACHMENTS, task=id_, name="first", labels={"skald.description": "one"})
    assert made.as_asked
    assert (await engine.create(kind, ATTACHMENTS, task=id_)).as_asked
    assert not (await engine.create(kind, others, task=id_)).as_asked
    with pytest.raises(Rejected, match="only a task that has ended"):
        await engine.restart(id_, others)
    await live(client, UUID(made.run), life("n1"))
    for wrong, named in (
        ({**others, "segmentSeconds": 0}, "segmentSeconds"),
        ({"colour": "red"}, "colour"),
        ({"inputUrl": "x" * 600_000}, "600,0.. bytes"),
    ):
        with pytest.raises(InvalidInput, match=named):
            await engine.restart(id_, wrong, labels={"skald.description": "two"})

    async def refused(_: TaskCommands, task: TaskId, *, held: bool) -> None:
        raise Rejected(f"{task}: its result is stored for good")

    with monkeypatch.context() as patch:
        patch.setattr(TaskCommands, "propose_again", refused)
        with pytest.raises(Rejected, match="for good"):
            await engine.restart(id_, others, name="second", labels={"skald.description": "two"})
    task = await engine.task(id_)
    kept = (task.attachments, task.revision, task.name, task.labels["skald.description"])
    assert kept == (ATTACHMENTS, 1, "first", "one")
    assert task.state is not None and task.state.type is StateType.COMPLETED

    await engine.restart(id_, others, name="second", labels={"skald.description": "two"})
    task = await engine.task(id_)
    changed = (task.attachments, task.revision, task.name, task.labels["skald.description"])
    assert changed == (others, 2, "second", "two")
    assert task.run == made.run and task.state is not None and task.state.name == "AwaitingRetry"


async def test_create_says_why_prefect_refuses_what_is_too_large(
    engine: PrefectEngine, deployed: Deployed
) -> None:
    with pytest.raises(InvalidInput, match=r"parameters.*600,0.. bytes") as caught:
        await engine.create(deployed.class_name, {"inputUrl": "x" * 600_000})
    assert len(str(caught.value)) < 500


async def test_create_names_what_is_wrong(engine: PrefectEngine, deployed: Deployed) -> None:
    with pytest.raises(NotFound, match=f"'NoSuch'.*{deployed.class_name}"):
        await engine.create("NoSuch", {})
    with pytest.raises(InvalidInput, match="segmentSeconds"):
        await engine.create(deployed.class_name, {**ATTACHMENTS, "segmentSeconds": "ten"})
    with pytest.raises(InvalidInput, match="colour"):
        await engine.create(deployed.class_name, {**ATTACHMENTS, "colour": "red"})


async def test_history_follows_a_life(
    engine: PrefectEngine, client: PrefectClient, deployed: Deployed
) -> None:
    run = await start(client, deployed)
    await live(client, run, [*life("n1", fails=True), AwaitingRetry(), *life("n2")])
    history = await engine.history(TaskId(str(run)))
    assert [state.name for state in history] == [
        "Scheduled", "Pending", "Running", "Failed", "AwaitingRetry", "Pending", "Running", "Completed",
    ]  # fmt: skip
    task = await engine.task(TaskId(str(run)))
    assert task.attempt == 2
    assert task.end is not None
    assert task.id not in [live.id for live in await engine.live_tasks()]
    assert task in await _changed(engine, task.end)
    assert task not in await _changed(engine, task.end + timedelta(seconds=1))


async def test_more_tasks_than_a_page(
    engine: PrefectEngine, client: PrefectClient, deployed: Deployed
) -> None:
    ids = {TaskId(str(await start(client, deployed))) for _ in range(203)}
    assert ids <= {task.id for task in await engine.live_tasks()}
    assert ids <= {task.id for task in await _changed(engine, datetime.now(UTC))}
    assert ids == {task.id for task in await engine.tasks(class_name=deployed.class_name, limit=1000)}
    assert len(await engine.tasks(class_name=deployed.class_name, limit=1000, offset=200)) == 3
    assert len(await engine.tasks(class_name=deployed.class_name, limit=7)) == 7
    assert ids == (await engine.read(list(ids))).keys()


async def test_unknown_tasks(engine: PrefectEngine) -> None:
    for task in (TaskId(str(uuid4())), TaskId("../flows")):
        with pytest.raises(NotFound, match="No task"):
            await engine.task(task)
        with pytest.raises(NotFound):
            await engine.cancel(task)
    assert await engine.read([TaskId(str(uuid4()))]) == {}
    assert await engine.history(TaskId(str(uuid4()))) == []


async def test_states_by_type_or_name(
    engine: PrefectEngine, client: PrefectClient, deployed: Deployed
) -> None:
    run = await start(client, deployed)
    await live(client, run, [*life("n1", fails=True), AwaitingRetry()])
    for states in (["scheduled"], ["AwaitingRetry"]):
        found = await engine.tasks(states=states, class_name=deployed.class_name)
        assert [task.id for task in found] == [str(run)]
    assert await engine.tasks(states=["FAILED", "CRASHED"], class_name=deployed.class_name) == []
    with pytest.raises(InvalidInput, match="mixes"):
        await engine.tasks(states=["FAILED", "Late"])


async def test_cancel(engine: PrefectEngine, client: PrefectClient, deployed: Deployed) -> None:
    waiting, running, retrying = [TaskId(str(await start(client, deployed))) for _ in range(3)]
    await live(client, UUID(running), life("n1")[:2])
    await live(client, UUID(retrying), [*life("n1", fails=True), AwaitingRetry()])
    await client.update_flow_run(UUID(retrying), infrastructure_pid="1")
    for task in (waiting, running, retrying):
        await engine.cancel(task)
    types = [(await engine.history(task))[-1].type for task in (waiting, running, retrying)]
    assert types == [StateType.CANCELLED, StateType.CANCELLING, StateType.CANCELLED]
    with pytest.raises(Rejected, match="CANCELLED"):
        await engine.cancel(waiting)


async def test_pause_and_resume(engine: PrefectEngine, client: PrefectClient, deployed: Deployed) -> None:
    run = await start(client, deployed)
    task = TaskId(str(run))
    with pytest.raises(Rejected, match="not currently running"):
        await engine.pause(task)
    await live(client, run, life("n1")[:2])
    for _ in range(2):
        await engine.pause(task)
        assert (await engine.task(task)).state.name == "Paused"
        await engine.resume(task)
        assert (await engine.task(task)).state.name == "Running"
    with pytest.raises(Rejected, match="not paused"):
        await engine.resume(task)
    await live(client, run, [Suspended(timeout_seconds=60)])
    await engine.resume(task)
    assert (await engine.task(task)).state.name == "Resuming"


async def test_retry(engine: PrefectEngine, client: PrefectClient, deployed: Deployed) -> None:
    run = await start(client, deployed)
    task = TaskId(str(run))
    with pytest.raises(Rejected, match="has ended"):
        await engine.retry(task)
    for end in (Crashed(), Cancelled(), life("n1", fails=True)[-1]):
        await live(client, run, [*life("n1")[:2], end])
        await engine.retry(task)
        assert (await engine.task(task)).state.name == "AwaitingRetry"


async def test_hints_carry_the_state_and_what_it_follows(
    engine: PrefectEngine, client: PrefectClient, deployed: Deployed
) -> None:
    heard: list[StateHint] = []
    async with engine.hints() as hints:
        run = await start(client, deployed)
        await live(client, run, life("n1"))
        async for hint in hints:
            if isinstance(hint, StateHint) and hint.task == str(run):
                heard.append(hint)
                if hint.state.type.terminal:
                    break
    history = await engine.history(TaskId(str(run)))
    assert [hint.state for hint in heard] == history
    assert [hint.follows for hint in heard] == [None, *(state.id for state in history[:-1])]
    assert [hint.first for hint in heard] == [True, False, False, False]
    assert {hint.class_name for hint in heard} == {deployed.class_name}


async def test_hints_of_revisions(engine: PrefectEngine) -> None:
    task = str(uuid4())
    async with engine.hints() as hints, get_events_client() as events:
        sending = asyncio.create_task(_repeat(events, _answer(task, "u1", 2)))
        async for hint in hints:
            if getattr(hint, "task", None) == task:
                break
        sending.cancel()
    assert hint == RevisionHint(TaskId(task), 2, {"inputUrl": "b.mp4"})


async def test_update_of_a_waiting_task_is_stored(
    engine: PrefectEngine, client: PrefectClient, deployed: Deployed
) -> None:
    task = TaskId(str(await start(client, deployed)))
    assert await engine.update(task, {"segmentSeconds": 4}, timeout=5) == ("stored", 2, None)
    found = await engine.task(task)
    assert found.attachments == {**ATTACHMENTS, "segmentSeconds": 4}
    assert found.revision == 2
    with pytest.raises(InvalidInput, match="segmentSeconds"):
        await engine.update(task, {"segmentSeconds": 0}, timeout=5)
    await live(client, UUID(task), life("n1"))
    with pytest.raises(Rejected, match="Completed"):
        await engine.update(task, {"segmentSeconds": 4}, timeout=5)


async def test_update_of_a_running_task_asks_until_answered(
    engine: PrefectEngine, client: PrefectClient, deployed: Deployed
) -> None:
    run = await start(client, deployed)
    task = TaskId(str(run))
    await live(client, run, life("n1")[:2])
    answering = asyncio.create_task(_answer_second_request(task))
    answer = await engine.update(task, {"segmentSeconds": 4}, timeout=30)
    request = await answering
    assert answer == ("applied", 5, None)
    assert request.payload["changes"] == {"segmentSeconds": 4}
    assert request.resource.id == f"prefect.flow-run.{task}"
    pool = await client.read_work_pool(deployed.pool)
    assert [related.id for related in request.related] == [f"prefect.work-pool.{pool.id}"]


async def test_update_nobody_answers(
    engine: PrefectEngine, client: PrefectClient, deployed: Deployed
) -> None:
    run = await start(client, deployed)
    await live(client, run, life("n1")[:2])
    with pytest.raises(Unavailable, match="did not answer"):
        await engine.update(TaskId(str(run)), {"segmentSeconds": 4}, timeout=0.3)


async def test_progress_and_node_log(
    engine: PrefectEngine, client: PrefectClient, deployed: Deployed
) -> None:
    run = await start(client, deployed)
    task = TaskId(str(run))
    await client.request(
        "POST",
        "/artifacts/",
        json={
            "key": f"progress-{task}", "type": "progress", "data": 25.0, "description": "1 of 4: split",
            "flow_run_id": task,
        },
    )  # fmt: skip
    progress = await engine.progress([task])
    assert (progress[task].fraction, progress[task].text) == (0.25, "1 of 4: split")
    now = datetime.now(UTC)
    await client.create_logs(
        [
            LogCreate(name=name, level=20, message=text, timestamp=now, flow_run_id=run)
            for name, text in [
                (messages.NODE_LOGGER, "node a: needs 9 gpus, has 2"),
                ("prefect.flow_runs", "hi"),
            ]
        ]
    )
    assert [text for _, text in await engine.node_log(task)] == ["node a: needs 9 gpus, has 2"]
    assert await engine.subtasks(task) == []


async def test_nodes_are_workers_that_announced_themselves(
    engine: PrefectEngine, client: PrefectClient, deployed: Deployed
) -> None:
    await client.send_worker_heartbeat(deployed.pool, "n1", heartbeat_interval_seconds=30)
    await client.send_worker_heartbeat(deployed.pool, "gone", heartbeat_interval_seconds=30)
    name = f"{messages.NODE_VARIABLE_PREFIX}{deployed.pool.replace('-', '_')}_n1"
    announced = {"name": "n1", "pool": deployed.pool, "cpus": 2, "task_types": [deployed.class_name]}
    await client.request("POST", "/variables/", json={"name": name, "value": announced})
    nodes = {str(node.id): node for node in await engine.nodes() if node.pool == deployed.pool}
    assert nodes["n1"].online and nodes["n1"].capacity == announced
    assert not nodes["gone"].online
    assert nodes["n1"].last_seen is not None


@pytest.mark.parametrize("plain", [False, True], ids=["prefect", "http"])
async def test_a_server_that_is_not_there(plain: bool) -> None:
    url = f"http://127.0.0.1:{free_port()}/api"
    with talking_to(url):
        async with PrefectEngine((lambda: plain_http(url)) if plain else None) as engine:
            with pytest.raises(Unavailable, match="does not answer") as caught:
                await engine.live_tasks()
            assert url in caught.value.message and caught.value.__cause__ is not None
            assert caught.value.remedy is not None
            with pytest.raises(Unavailable):
                async with engine.hints():
                    pass


async def test_version_and_class_names(engine: PrefectEngine, deployed: Deployed) -> None:
    assert (await engine.version()).startswith("3.")
    assert deployed.class_name in await engine.class_names()


def _answer(task: str, update_id: str, revision: int) -> Event:
    return Event(
        event=messages.UPDATE_APPLIED,
        resource=Resource({"prefect.resource.id": f"prefect.flow-run.{task}"}),
        payload={
            "update_id": update_id, "revision": revision, "node": "n1", "attachments": {"inputUrl": "b.mp4"},
        },
    )  # fmt: skip


async def _repeat(events: Any, event: Event) -> None:
    while True:
        await events.emit(event.model_copy(update={"id": uuid4()}))
        await asyncio.sleep(0.1)


async def _answer_second_request(task: TaskId) -> Event:
    wanted = EventFilter(event=EventNameFilter(name=[messages.UPDATE_REQUESTED]))
    seen: list[Event] = []
    async with get_events_subscriber(wanted) as requests, get_events_client(checkpoint_every=1) as events:
        async for request in requests:
            if request.resource.id.endswith(task):
                seen.append(request)
                if len(seen) == 2:
                    assert seen[0].payload == seen[1].payload
                    await events.emit(_answer(task, request.payload["update_id"], 5))
                    return request
    raise AssertionError("no second request")


async def _changed(engine: PrefectEngine, since: datetime) -> list[Task]:
    return [task async for page in engine.changed_since(since) for task in page]
