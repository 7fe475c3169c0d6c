"""The bridge over a real Prefect server and its SQLite file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.states import AwaitingRetry, Completed

from skald_bridge import main, quick
from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.domain.documents import GONE
from skald_bridge.domain.errors import NotFound, Rejected
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus
from skald_bridge.domain.records import JournalRecord, TaskDocument
from skald_bridge.services.bridge import Bridge
from tests.services.poll import auntil
from tests.services.runs import ATTACHMENTS, Deployed, life, live, start


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[Bridge]:
    async with main.embedded(path) as bridge:
        task = asyncio.create_task(bridge.run())
        try:
            yield bridge
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def records(path: Path, task: UUID) -> list[JournalRecord]:
    with suppress(NotFound):
        async with quick.journal(path) as journal:
            return [record for _, record in await journal.read(task=TaskId(str(task)))]
    return []


async def settled(path: Path, run: UUID, count: int) -> list[JournalRecord]:
    async def enough() -> list[JournalRecord]:
        found = await records(path, run)
        return found if len(found) >= count else []

    return await auntil(enough, 30, f"{count} states of {run} in the journal")


async def finished(path: Path, run: UUID) -> TaskDocument:
    """The document once it is closed."""

    async def closed() -> TaskDocument | None:
        async with main.archive(path) as archive:
            document = await archive.get(TaskId(str(run)))
        return document if document is not None and document.lifecycle in _CLOSED else None

    return await auntil(closed, 30, f"the document of {run} closed")


async def test_a_life_is_journaled_as_it_happens(
    client: PrefectClient, engine: PrefectEngine, deployed: Deployed, tmp_path: Path
) -> None:
    path = tmp_path / "journal.db"
    async with running(path) as bridge:
        run = await start(client, deployed)
        await settled(path, run, 1)
        await live(client, run, [*life("n1", fails=True), AwaitingRetry()])
        await settled(path, run, 5)
        await live(client, run, life("n2"))
        found = await settled(path, run, 8)
        history = await engine.history(TaskId(str(run)))
        document = await finished(path, run)

        async def swept() -> bool:
            return bridge.sweep.passes > 0

        await auntil(swept, 60, "a look at all tasks")
    assert [record.id for record in found] == [state.id for state in history]
    assert [record.at for record in found] == [state.at for state in history]
    assert [record.sequence for record in found] == list(range(1, 9))
    assert [record.attempt for record in found] == [0, 0, 1, 1, 1, 1, 2, 2]
    assert [record.node for record in found] == [None, "n1", "n1", "n1", "n1", "n2", "n2", "n2"]
    assert document.lifecycle is LifecycleStatus.FINISHED
    assert document.executor == "n2"
    assert document.attachments == ATTACHMENTS
    assert document.started == history[2].at
    assert document.ended == history[-1].at
    assert document.exception is None


async def test_what_happened_while_it_was_away(
    client: PrefectClient, engine: PrefectEngine, deployed: Deployed, tmp_path: Path
) -> None:
    path = tmp_path / "journal.db"
    before = await start(client, deployed)
    async with running(path):
        await settled(path, before, 1)
    await live(client, before, life("n1"))
    between = await start(client, deployed)
    await live(client, between, life("n1", fails=True))
    async with running(path):
        for run in (before, between):
            found = await settled(path, run, 4)
            assert [r.id for r in found] == [s.id for s in await engine.history(TaskId(str(run)))]
        async with main.archive(path) as archive:
            document = await archive.get(TaskId(str(between)))
    assert document is not None and document.exception == "ffmpeg ended with 1"


async def test_terminal_forced_into_another_while_away(
    client: PrefectClient, deployed: Deployed, tmp_path: Path
) -> None:
    path = tmp_path / "journal.db"
    run = await start(client, deployed)
    await live(client, run, life("n1", fails=True))
    async with running(path):
        await settled(path, run, 4)
    await live(client, run, [Completed()])
    async with running(path):
        found = await settled(path, run, 5)
    assert found[-1].lifecycle is LifecycleStatus.FINISHED


async def test_a_task_deleted_in_prefect_is_closed(
    client: PrefectClient, deployed: Deployed, tmp_path: Path
) -> None:
    path = tmp_path / "journal.db"
    run = await start(client, deployed)
    async with running(path):
        await settled(path, run, 1)
    await client.delete_flow_run(run)
    async with running(path):
        document = await finished(path, run)
    assert (document.lifecycle, document.exception) == (LifecycleStatus.CANCELLED, GONE)
    assert len(await records(path, run)) == 1


async def test_new_attachments_reach_the_archive(
    client: PrefectClient, engine: PrefectEngine, deployed: Deployed, tmp_path: Path
) -> None:
    path = tmp_path / "journal.db"
    run = await start(client, deployed)
    async with running(path) as bridge, main.archive(path) as archive:
        await settled(path, run, 1)
        await engine.update(TaskId(str(run)), {"segmentSeconds": 3}, timeout=5)
        bridge.sweep.gap()

        async def revised() -> bool:
            await bridge.sweep.step()
            document = await archive.get(TaskId(str(run)))
            return document is not None and document.revision == 2

        await auntil(revised, 20, "revision 2 in the archive")
        document = await archive.get(TaskId(str(run)))
    assert document is not None and document.attachments["segmentSeconds"] == 3


async def test_a_second_bridge_on_the_same_file_is_refused(engine: PrefectEngine, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with main.embedded(path):
        with pytest.raises(Rejected, match="Another bridge"):
            async with main.embedded(path):
                pass
    async with main.embedded(path):
        pass


async def test_rebuilt_from_prefect_it_is_the_same(
    client: PrefectClient, deployed: Deployed, tmp_path: Path
) -> None:
    path, anew = tmp_path / "journal.db", tmp_path / "anew.db"
    async with running(path):
        runs = [await start(client, deployed) for _ in range(5)]
        for number, run in enumerate(runs):
            await live(client, run, life("n1", fails=bool(number % 2)))
        for run in runs:
            await settled(path, run, 4)
    await main.rebuild(anew)
    for run in runs:
        assert await records(anew, run) == await records(path, run)
    async with main.archive(path) as old, main.archive(anew) as new:
        ids = [TaskId(str(run)) for run in runs]
        assert await old.read(ids) == await new.read(ids)


_CLOSED = (LifecycleStatus.FINISHED, LifecycleStatus.FAILED, LifecycleStatus.CANCELLED)
