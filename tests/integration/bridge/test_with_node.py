"""Engine and bridge with a real node that runs real tasks."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.domain.errors import Rejected
from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus, StateType
from tests.integration.bridge.test_mirror import finished, running, settled
from tests.services.fleet import Fleet, fleet
from tests.services.poll import auntil
from tests.services.prefect_server import PrefectServer
from tests.services.runs import talking_to

pytestmark = [pytest.mark.server, pytest.mark.oldest]
PROJECT = Path(__file__).parent / "project" / "probe.py"


@pytest.fixture(scope="module")
def made(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    shutil.copy(PROJECT, folder / "probe.py")
    with fleet(server, folder, [{"name": "probe", "entrypoint": "probe.py:probe"}]) as made:
        yield made


@pytest.fixture
async def engine(made: Fleet) -> AsyncIterator[PrefectEngine]:
    with talking_to(made.server.url):
        async with PrefectEngine() as engine:
            yield engine


async def reaches(engine: PrefectEngine, task: TaskId, *types: StateType) -> Task:
    async def there() -> Task | None:
        found = await engine.task(task)
        return found if found.state is not None and found.state.type in types else None

    return await auntil(there, 60, f"{task} is {types}")


async def test_updates_are_applied_or_rejected_and_archived(
    engine: PrefectEngine, made: Fleet, tmp_path: Path
) -> None:
    stop = tmp_path / "stop"
    path = tmp_path / "journal.db"
    async with running(path):
        task = (await engine.create("probe", {"until": str(stop)})).id
        await reaches(engine, task, StateType.RUNNING)
        applied = await engine.update(task, {"step": 5}, timeout=30)
        assert applied == ("applied", 2, None)
        outcome, _, reason = await engine.update(task, {"step": 0}, timeout=30)
        assert outcome == "rejected" and reason is not None and "step" in reason
        assert (await engine.update(task, {"step": 7}, timeout=30))[0] == "applied"

        async def progressed() -> bool:
            return "step 7" in (await engine.progress([task]))[task].text

        await auntil(progressed, 30, "progress with the new step")
        stop.touch()
        await reaches(engine, task, StateType.COMPLETED)
        document = await finished(path, UUID(task))
    assert document.attachments["step"] == 7
    assert document.revision > 2

    async def stored() -> bool:
        ended = await engine.task(task)
        return (ended.revision, ended.attachments["step"]) == (document.revision, 7)

    await auntil(stored, 20, "the newest revision stored in Prefect")
    assert document.executor == "node-1"

    async def recorded() -> list[str]:
        return [found.name.rsplit("-", 1)[0] for found in await engine.subtasks(task)]

    assert await auntil(recorded, 30, "the subtask, which Prefect records from events") == ["measure"]


async def test_pause_resume_cancel_as_skalds_sees_them(
    engine: PrefectEngine, made: Fleet, tmp_path: Path
) -> None:
    path = tmp_path / "journal.db"
    async with running(path):
        task = (await engine.create("probe", {"until": str(tmp_path / "never")})).id
        await reaches(engine, task, StateType.RUNNING)
        await engine.pause(task)
        await reaches(engine, task, StateType.PAUSED)
        await engine.resume(task)
        await reaches(engine, task, StateType.RUNNING)
        await engine.cancel(task)
        await reaches(engine, task, StateType.CANCELLED)
        document = await finished(path, UUID(task))
        history = await engine.history(task)
        records = await settled(path, UUID(task), len(history))
    assert [record.id for record in records] == [state.id for state in history]
    assert document.lifecycle is LifecycleStatus.CANCELLED
    assert document.attempt == 1


async def test_the_node_and_what_it_says(engine: PrefectEngine, made: Fleet) -> None:
    (node,) = [node for node in await engine.nodes() if node.pool == made.pool]
    assert node.id == "node-1" and node.online
    assert node.capacity["cpus"] > 0
    failing = (await engine.create("probe", {"fail": True}, idempotency_key=uuid4().hex)).id
    await reaches(engine, failing, StateType.FAILED)

    async def labelled() -> bool:
        return (await engine.task(failing)).node == "node-1"

    await auntil(labelled, 20, "the node's label on its task")

    async def spoken() -> bool:
        return bool(await engine.node_log(failing))

    await auntil(spoken, 20, "the node's words on the task")
    await engine.retry(failing)
    assert (
        await reaches(engine, failing, StateType.PENDING, StateType.RUNNING, StateType.FAILED)
    ).attempt <= 2
    greedy = (await engine.create("probe", {}, job_variables={"gpus": 9})).id

    async def refused() -> bool:
        return any("needs 9 gpus" in text for _, text in await engine.node_log(greedy))

    await auntil(refused, 30, "the refusal of a task that needs 9 gpus")
    await engine.cancel(greedy)
    with pytest.raises(Rejected):
        await engine.cancel(greedy)


async def test_many_tasks_at_once(engine: PrefectEngine, made: Fleet, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with running(path):
        tasks = [(await engine.create("probe", {"fail": number % 5 == 0})).id for number in range(15)]
        ended = await asyncio.gather(
            *(reaches(engine, task, StateType.COMPLETED, StateType.FAILED) for task in tasks)
        )
        for task in ended:
            history = await engine.history(task.id)
            records = await settled(path, UUID(task.id), len(history))
            assert [record.id for record in records] == [state.id for state in history]
            assert records[-1].node == "node-1"


async def test_a_task_whose_process_stands_still_stops_beating(
    engine: PrefectEngine, made: Fleet, tmp_path: Path
) -> None:
    stop = tmp_path / "stop"
    async with running(tmp_path / "journal.db") as bridge:
        task = (await engine.create("probe", {"until": str(stop)})).id
        await reaches(engine, task, StateType.RUNNING)

        async def beats() -> bool:
            return task in [each.id for each in bridge.mirror.memory.beating()]

        async def is_silent() -> bool:
            return not await beats()

        await auntil(beats, 30, "the task beats")
        pid = int(Path(f"{stop}.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            await auntil(is_silent, 30, "a stopped process is silent")
            assert (await engine.task(task)).state == (await reaches(engine, task, StateType.RUNNING)).state
        finally:
            os.kill(pid, signal.SIGCONT)
        await auntil(beats, 30, "it beats again")
        stop.touch()
        await reaches(engine, task, StateType.COMPLETED)
