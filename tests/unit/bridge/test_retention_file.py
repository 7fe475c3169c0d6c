"""How the file is pruned: in small steps, beside others, killed or not, and it shrinks."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from skald_bridge.adapters import sqlite_file
from skald_bridge.adapters.sqlite import SqlitePositions
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.adapters.sqlite_retention import ROWS, SqliteRetention
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.recordings import Recording
from skald_bridge.domain.retention import Delivered
from tests.contract.records import AT
from tests.unit.bridge.pruned import ALONE, KEEP, LATER, LIFE, Counting, Stage

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


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Counting(tmp_path / "journal.db") as file:
        stage = Stage(file)
        await stage.cursor.save(LATER)
        yield stage


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


async def test_a_task_with_many_recordings_goes_in_small_steps(stage: Stage) -> None:
    task = await stage.ran()
    many = [Recording(f"{task}-{number}", task, "a.mp4", AT, 1.0) for number in range(3 * ROWS)]
    await stage.recordings.add(many)
    newest = await stage.ran(at=LATER)
    await stage.told(*ALONE)
    async with asyncio.timeout(60):
        await stage.prune()
    assert await stage.left() == {newest}
    assert await stage.recordings.of(task) == []
    assert max(stage.file.changes) <= ROWS
