"""What is pruned, what stays because a relay owes it, and how little others wait meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import AsyncMock, Mock, patch

import pytest

from skald_bridge import main
from skald_bridge.adapters import sqlite_file
from skald_bridge.adapters.sqlite import (
    SqliteArchive,
    SqliteCursor,
    SqliteJournal,
    SqlitePositions,
    SqliteRecordings,
)
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.adapters.sqlite_retention import ROWS, SqliteRetention
from skald_bridge.domain.commands import Controller
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import TERMINAL, StateType
from skald_bridge.domain.recordings import Recording
from skald_bridge.domain.retention import (
    EVERYTHING,
    HARVEST,
    READS,
    SWEPT_AGAIN,
    Delivered,
    Feed,
    delivered,
    ended_before,
)
from skald_bridge.services import outlets, persistence
from skald_bridge.services.relay import Relay
from skald_bridge.services.retention import BEGIN_SECONDS, PERIOD, Retention
from skald_bridge.services.sweep import GAP_MARGIN, MARGIN
from skald_bridge.settings import Settings
from tests.contract.records import AT, document, record, task_id

T = TypeVar("T")
LIFE = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.COMPLETED)
LATER = AT + timedelta(days=31)
KEEP = timedelta(days=30)
ALONE = ["errors", "persistent", HARVEST]
"""The relays of a bridge without services."""

PRUNER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.adapters.sqlite_retention import SqliteRetention
from skald_bridge.domain.retention import FIRST, Delivered

async def prune():
    async with SqliteFile(Path(sys.argv[1]), write=True) as file:
        mark = FIRST
        while mark is not None:
            pruned = await SqliteRetention(file).prune(datetime.now(UTC), Delivered(), (), mark)
            print(pruned.rows, flush=True)
            mark = pruned.after

asyncio.run(prune())
"""


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
            Feed.JOURNAL: (await self.journal.tail(1))[-1][0],
            Feed.CHANGES: await self.archive.newest(),
            Feed.REVISED: await self.archive.newest(),
            Feed.RECORDINGS: 1000,
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


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Counting(tmp_path / "journal.db") as file:
        stage = Stage(file)
        await stage.cursor.save(LATER)
        yield stage


async def test_what_ended_long_ago_goes_and_nothing_else(stage: Stage) -> None:
    old = [await stage.ran(*LIFE[:-1], state) for state in sorted(TERMINAL)]
    gone = await stage.ran(ended=None)
    for task in (*old, gone):
        await stage.recorded(task)
    opened = {
        await stage.ran(StateType.SCHEDULED),
        await stage.ran(*LIFE[:3]),
        await stage.ran(*LIFE, StateType.SCHEDULED),
    }
    within = await stage.ran(at=LATER - KEEP + timedelta(hours=1))
    long_lived = await stage.ran(ended=LATER - timedelta(days=1), updated=LATER - timedelta(days=1))
    await stage.told(*ALONE)
    await stage.prune()
    assert await stage.left() == {*opened, within, long_lived}
    assert [found for task in (*old, gone) for found in await stage.recordings.of(task)] == []


async def test_what_a_relay_owes_stays_until_it_is_delivered(stage: Stage) -> None:
    for relay in sorted(set(READS) - set(ALONE)):
        owed = await stage.ran(revision=1)
        await stage.archive.put([document(owed, 4, StateType.COMPLETED, created=AT, ended=AT, revision=2)])
        await stage.recorded(owed)
        keeps = await stage.ran(at=LATER)
        await stage.told(*ALONE)
        await stage.prune(*ALONE, relay)
        assert owed in await stage.left(), f"{relay} has never delivered anything"
        await stage.told(relay)
        await stage.prune(*ALONE, relay)
        left = await stage.left()
        assert owed not in left, relay
        assert keeps in left
        await stage.positions.save(relay, 0)


async def test_a_position_one_short_keeps_the_task_and_its_whole_journal(stage: Stage) -> None:
    task = await stage.ran()
    await stage.ran(at=LATER)
    last = (await stage.journal.read(task=task))[-1][0]
    await stage.told(*ALONE)
    for relay in ALONE:
        await stage.positions.save(relay, last - 1)
        await stage.prune()
        assert len(await stage.journal.read(task=task)) == len(LIFE), relay
        await stage.positions.save(relay, last)
    await stage.prune()
    assert task not in await stage.left()


async def test_a_relay_that_is_no_longer_configured_owes_nothing(stage: Stage) -> None:
    await stage.ran()
    newest = await stage.ran(at=LATER)
    await stage.told(*ALONE)
    await stage.positions.save("kafka", 1)
    await stage.prune()
    assert await stage.left() == {newest}


async def test_the_position_of_such_a_relay_goes_once_it_says_nothing(stage: Stage) -> None:
    """It would begin with the first of what is left, with that position or without one."""
    await stage.ran()
    await stage.ran(at=LATER)
    await stage.told(*ALONE, "mongodb")
    await stage.positions.save("kafka", 3)
    await stage.prune()
    names = {row[0] for row in await stage.file.rows("SELECT name FROM delivered")}
    assert names == {*ALONE, "mongodb"}


async def test_the_newest_document_stays_so_that_no_change_gets_an_old_number(stage: Stage) -> None:
    await stage.ran()
    newest = await stage.ran()
    await stage.told(*ALONE, "mongodb")
    position = (await stage.journal.tail(1))[-1][0]
    change = await stage.archive.newest()
    await stage.prune(*ALONE, "mongodb")
    assert await stage.left() == {newest}
    later = await stage.ran()
    assert (await stage.archive.changed(change, 10))[0][1].id == later
    assert [found.task for _, found in await stage.journal.read(after=position)] == [later] * len(LIFE)


async def test_an_emptied_journal_can_be_skimmed_and_goes_on_counting(stage: Stage) -> None:
    task = await stage.ran()
    position = (await stage.journal.tail(1))[-1][0]
    await stage.archive.put([document(task_id())])
    await stage.told(*ALONE)
    await stage.prune()
    assert await stage.journal.read() == []
    assert await stage.journal.skim([StateType.FAILED], after=0, limit=10) == []
    again = record(task, 1)
    await stage.journal.append([again])
    assert await stage.journal.skim([StateType.FAILED], after=position, limit=10) == [(position + 1, again)]


async def test_what_an_open_task_waits_for_stays(stage: Stage) -> None:
    needed = await stage.ran()
    await stage.ran()
    waits = await stage.ran(StateType.SCHEDULED, extra={"dependencies": [needed]})
    await stage.told(*ALONE)
    await stage.prune()
    assert await stage.left() == {needed, waits}


async def test_nothing_is_pruned_that_the_sweep_will_see_again(stage: Stage) -> None:
    """Where nothing has ended since, its cursor stands at the last end, however long ago that was."""
    before, seen_again = await stage.ran(at=AT - timedelta(days=1)), await stage.ran(at=AT)
    await stage.told(*ALONE)
    await stage.file.run(lambda connection: connection.execute("DELETE FROM cursor"))
    await stage.prune()
    assert await stage.left() == {seen_again, before}
    await stage.cursor.save(AT)
    await stage.prune()
    assert await stage.left() == {seen_again}
    assert max(GAP_MARGIN, MARGIN) < SWEPT_AGAIN


async def test_steps_are_small_whatever_there_is_to_prune(stage: Stage) -> None:
    long_one = await stage.ran(*LIFE[:3] * 250, StateType.FAILED)
    for number in range(150):
        await stage.ran(at=AT + timedelta(seconds=number))
    newest = await stage.ran(at=LATER)
    await stage.told(*ALONE)
    await stage.prune()
    assert await stage.left() == {newest}
    assert long_one != newest
    assert sum(stage.file.changes) == 751 + 1 + 150 * 5
    assert max(stage.file.changes) <= ROWS
    assert len(stage.clock.slept) >= sum(stage.file.changes) / ROWS - 1


async def test_what_is_begun_can_be_stopped_and_keeps_the_newest_state(stage: Stage) -> None:
    task = await stage.ran(*LIFE[:3] * 250, StateType.FAILED)
    await stage.ran(at=LATER)
    await stage.told(*ALONE)
    store, told = SqliteRetention(stage.file), Delivered()
    pruned = await store.prune(LATER - KEEP, told, (), ("", ""))
    assert (pruned.rows, pruned.tasks, pruned.after) == (ROWS, 0, ("", ""))
    left = await stage.journal.read(task=task)
    assert [found.sequence for _, found in left] == list(range(ROWS + 1, 752))
    assert await stage.archive.get(task) is not None


async def test_it_prunes_while_a_writer_appends(stage: Stage) -> None:
    for _ in range(300):
        await stage.ran()
    await stage.told(*ALONE)
    opened: list[TaskId] = []
    pruning = asyncio.create_task(stage.prune())
    while not pruning.done():
        opened.append(await stage.ran(*LIFE[:3]))
        await asyncio.sleep(0)
    await pruning
    assert len(opened) > 3, "they took no turns"
    assert await stage.left() == set(opened)
    positions = [at for at, _ in await stage.journal.read(limit=100_000)]
    assert positions[0] == 300 * len(LIFE) + 1
    assert positions == sorted(set(positions))


async def test_a_kill_leaves_whole_tasks_and_the_ends_of_begun_ones(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with Counting(path) as file:
        stage = Stage(file)
        lived = [await stage.ran(*LIFE[:3] * 150, StateType.FAILED) for _ in range(8)]
    pruning = subprocess.Popen(
        [sys.executable, "-c", PRUNER, str(path)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert pruning.stdout is not None
    for _ in range(5):
        pruning.stdout.readline()
    pruning.send_signal(signal.SIGKILL)
    pruning.wait()
    async with Counting(path) as file:
        stage = Stage(file)
        left = await stage.left()
        assert 0 < len(left) < len(lived)
        newest = await stage.journal.last(sorted(left))
        assert {found.sequence for found in newest.values()} == {451}
        assert await file.rows("PRAGMA integrity_check") == [("ok",)]


async def test_a_bridge_prunes_unless_everything_is_to_be_kept(tmp_path: Path) -> None:
    with patch.object(main, "PrefectEngine", lambda: nullcontext(Mock())):
        async with main.embedded(tmp_path / "journal.db") as bridge:
            assert "retention" in [loop.name for loop in bridge.loops]
        for_ever = Settings.model_construct(retention_days=0.0)
        async with main.bridge(tmp_path / "journal.db", for_ever) as bridge:
            assert "retention" not in [loop.name for loop in bridge.loops]


async def test_the_file_shrinks(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with Counting(path) as file:
        stage = Stage(file)
        await stage.cursor.save(LATER)
        for _ in range(200):
            await stage.ran(attachments={"text": "x" * 20_000})
        newest = await stage.ran(at=LATER)
        await stage.told(*ALONE)
        await SqliteRetention(file).settle()
        before = path.stat().st_size
        await stage.prune()
        assert await stage.left() == {newest}
        assert before > 4_000_000
        assert path.stat().st_size < 200_000
        assert len(stage.clock.slept) < 30, "a step that gives little back would take for ever"
        assert path.with_name("journal.db-wal").stat().st_size == 0
        found = await SqliteRetention(file).stored()
        assert (found.size, found.free, found.oldest, found.shrinks) == (path.stat().st_size, 0, LATER, True)


async def test_a_reader_holds_nothing_up(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with Counting(path) as file:
        stage = Stage(file)
        await stage.cursor.save(LATER)
        await stage.ran()
        newest = await stage.ran(at=LATER)
        await stage.told(*ALONE)
        reading = sqlite3.connect(path)
        reading.execute("BEGIN")
        assert reading.execute("SELECT count(*) FROM archive").fetchone() == (2,)
        async with asyncio.timeout(20):
            await stage.prune()
        assert reading.execute("SELECT count(*) FROM archive").fetchone() == (2,)
        reading.close()
        assert await stage.left() == {newest}


@pytest.mark.parametrize("small", [True, False])
async def test_a_file_of_before_is_read_and_shrinks_if_it_is_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: bool
) -> None:
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as old:
        old.execute("PRAGMA journal_mode = WAL")
        old.executescript(f"BEGIN; {sqlite_file._SCHEMA} PRAGMA user_version = 1; COMMIT;")
        old.execute("INSERT INTO delivered VALUES ('kafka', 7)")
    old.close()
    async with SqliteFile(path, write=False) as reading:
        assert await SqlitePositions(reading).load("kafka") == 7
    if not small:
        monkeypatch.setattr(sqlite_file, "CONVERTED", 1000)
    async with Counting(path) as file:
        stage = Stage(file)
        assert await stage.positions.load("kafka") == 7
        assert await file.rows("PRAGMA auto_vacuum") == [(2 if small else 0,)]
        assert (await SqliteRetention(file).stored()).shrinks is small
        await stage.cursor.save(LATER)
        await stage.ran()
        newest = await stage.ran(at=LATER)
        await stage.told(*ALONE)
        await stage.prune()
        assert await stage.left() == {newest}


async def test_a_rebuilt_file_is_small(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with Counting(path) as file:
        stage = Stage(file)
        for _ in range(50):
            await stage.ran(attachments={"text": "x" * 20_000})
        await file.wipe()
        await SqliteRetention(file).settle()
    assert path.stat().st_size < 100_000


def test_what_relays_owe() -> None:
    assert delivered({}) == Delivered()
    assert delivered({"kafka": 5, "errors": 3, "redis": 9, "mongodb": 8}) == Delivered(
        3, 8, EVERYTHING, EVERYTHING
    )
    assert delivered({"kafka-updates": 2, "mongodb-recordings": 1}) == Delivered(revised=2, recordings=1)
    assert delivered({"kafka": 5, "of another version": 0}) == Delivered(0, 0, 0, 0)


def test_from_when_on_it_is_kept() -> None:
    assert ended_before(LATER, KEEP, None) is None
    assert ended_before(LATER, KEEP, LATER) == LATER - KEEP
    assert ended_before(LATER, KEEP, AT) == AT - SWEPT_AGAIN


async def test_every_relay_reads_what_is_known_of_it() -> None:
    stored: Any = Mock()
    stored.load = AsyncMock(return_value=0)
    feeds = {
        Feed.JOURNAL: ("read", "skim"),
        Feed.CHANGES: ("changed",),
        Feed.REVISED: ("revised",),
        Feed.RECORDINGS: ("added",),
    }
    for name in (name for names in feeds.values() for name in names):
        setattr(stored, name, AsyncMock(return_value=[]))
    clock = Clock()
    relays: list[Relay[Any]] = [
        *outlets.to_kafka(stored, stored, stored, stored),
        *outlets.to_redis(stored, stored, stored, clock),
        outlets.to_people(stored, stored, stored, clock),
        *outlets.to_mongo(stored, stored, stored, Controller.OURS),
        outlets.recordings_to_mongo(stored.added, stored, stored),
        persistence.revivals(stored, stored, stored, stored, clock),
    ]
    assert {relay.name for relay in relays} | {HARVEST} == set(READS)
    for relay in relays:
        stored.reset_mock()
        await relay.step()
        read = {feed for feed, names in feeds.items() if any(getattr(stored, name).called for name in names)}
        assert read == {READS[relay.name]}, relay.name
