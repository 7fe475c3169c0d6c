"""A SQLite file with tasks of all kinds, and a bridge's pruning of it a month later."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from skald_bridge.adapters.sqlite import (
    SqliteArchive,
    SqliteCursor,
    SqliteJournal,
    SqlitePositions,
    SqliteRecordings,
)
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.adapters.sqlite_retention import SqliteRetention
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.recordings import Recording
from skald_bridge.domain.retention import READS, RECORDINGS, RelayFeed
from skald_bridge.services.retention import BEGIN_SECONDS, PERIOD, Retention
from tests.contract.records import AT, document, record, task_id

T = TypeVar("T")
LIFE = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.COMPLETED)
LATER = AT + timedelta(days=31)
KEEP = timedelta(days=30)
ALONE = ["errors", "persistent", RECORDINGS]
"""The relays of a bridge without services."""


class Clock:
    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return LATER

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Counting(SqliteFile):
    """Also says how many rows each transaction changed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, write=True)
        self.changes: list[int] = []

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def counted(connection: sqlite3.Connection) -> T:
            before = connection.total_changes
            done = work(connection)
            self.changes.append(connection.total_changes - before)
            return done

        return await super().run(counted)


class Stage:
    def __init__(self, file: Counting) -> None:
        self.file = file
        self.journal, self.archive = SqliteJournal(file), SqliteArchive(file)
        self.recordings, self.positions = SqliteRecordings(file), SqlitePositions(file)
        self.cursor, self.clock = SqliteCursor(file), Clock()

    async def ran(
        self, *states: StateType, at: datetime = AT, task: TaskId | None = None, **more: object
    ) -> TaskId:
        """A task that was created and went through these states at that moment."""
        task = task or task_id()
        states = states or LIFE
        records = [replace(record(task, number, state), at=at) for number, state in enumerate(states, 1)]
        await self.journal.append(records)
        ended = at if states[-1].terminal else None
        made = document(task, len(states), states[-1], created=at, updated=at, ended=ended)
        await self.archive.put([replace(made, **more)])  # type: ignore[arg-type]
        return task

    async def recorded(self, task: TaskId) -> None:
        await self.recordings.add([Recording(f"{task}-1", task, "a.mp4", AT, 1.0)])

    async def told(self, *relays: str) -> None:
        """All there is is delivered by these."""
        newest = {
            RelayFeed.JOURNAL: (await self.journal.tail(1))[-1][0],
            RelayFeed.CHANGES: await self.archive.newest(),
            RelayFeed.REVISED: await self.archive.newest(),
            RelayFeed.RECORDINGS: 1000,
        }
        for relay in relays:
            await self.positions.save(relay, newest[READS[relay]])

    async def prune(self, *relays: str, keep: timedelta = KEEP) -> None:
        """As a bridge with these relays does, long after its sweep."""
        names = list(relays) or ALONE
        store = SqliteRetention(self.file)
        retention = Retention(store, self.cursor, self.positions, self.clock, keep, names)
        assert await retention.step() == BEGIN_SECONDS
        self.file.changes.clear()
        assert await retention.step() == PERIOD

    async def left(self) -> set[TaskId]:
        documents = {found.id for found in await self.archive.find(limit=100_000)}
        assert {found.task for _, found in await self.journal.read(limit=1_000_000)} == documents
        return documents
