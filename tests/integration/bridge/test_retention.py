"""What is pruned stays away until it begins again, and is in Prefect still."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.states import AwaitingRetry

from skald_bridge import main, stored
from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.adapters.sqlite import SqliteArchive, SqliteCursor, SqlitePositions
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.adapters.sqlite_retention import SqliteRetention
from skald_bridge.api.reading import document
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus
from skald_bridge.domain.retention import RECORDINGS
from skald_bridge.services.retention import Retention
from tests.integration.bridge.test_mirror import records
from tests.services.runs import Deployed, life, live, start

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]
MONTH = timedelta(days=31)


class MonthLater:
    def now(self) -> datetime:
        return datetime.now(UTC) + MONTH

    async def sleep(self, seconds: float) -> None:
        pass


async def swept(path: Path) -> int:
    """By a bridge that has just started; states that were new."""
    async with main.embedded(path) as bridge:
        await bridge.sweep.step()
        await bridge.gathered()
        for relay in bridge.relays:
            while await relay.step() == 0:
                pass
        return bridge.sweep.repaired


async def prune(path: Path) -> None:
    """As if a month had passed in which other tasks ended, of which the sweep knows."""
    async with SqliteFile(path, write=True) as file:
        cursor, clock = SqliteCursor(file), MonthLater()
        await cursor.save(clock.now())
        relays = ["errors", "persistent", RECORDINGS]
        keep = MONTH - timedelta(days=1)
        retention = Retention(SqliteRetention(file), cursor, SqlitePositions(file), clock, keep, relays)
        await retention.step()
        await retention.step()


async def test_what_is_pruned_stays_away_and_returns_whole_when_it_begins_again(
    client: PrefectClient, engine: PrefectEngine, deployed: Deployed, tmp_path: Path
) -> None:
    path = tmp_path / "journal.db"
    run = await start(client, deployed)
    await live(client, run, life("n1"))
    assert await swept(path) >= 4
    before = await records(path, run)
    # The newest document of all is never pruned.
    newest = await start(client, deployed)
    await swept(path)
    await prune(path)
    assert await records(path, run) == []
    assert len(await records(path, newest)) == 1

    assert await swept(path) == 0
    assert await records(path, run) == []
    async with SqliteFile(path, write=False) as file:
        backend: Any = SimpleNamespace(archive=SqliteArchive(file), engine=engine)
        shown = await document(backend, str(run))
    assert (shown.id, shown.lifecycle) == (TaskId(str(run)), LifecycleStatus.FINISHED)

    await live(client, run, [AwaitingRetry()])
    await swept(path)
    again = await records(path, run)
    assert again[:-1] == before
    assert again[-1].sequence == len(before) + 1
    assert await _status(path, run) is LifecycleStatus.CREATED


async def _status(path: Path, run: UUID) -> LifecycleStatus | None:
    async with stored.archive(path) as archive:
        found = await archive.get(TaskId(str(run)))
    return found.lifecycle if found is not None else None
