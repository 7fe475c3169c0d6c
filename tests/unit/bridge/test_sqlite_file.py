"""The SQLite file: one writer, readers beside it, clear refusals."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from skald_bridge.adapters.sqlite import SqliteJournal
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.domain.errors import NotFound, Rejected, Unavailable
from tests.contract.records import record, task_id

WRITER = """
import asyncio, sys
from pathlib import Path
from skald_bridge.adapters.sqlite import SqliteJournal
from skald_bridge.adapters.sqlite_file import SqliteFile
from tests.contract.records import record, task_id

async def write():
    async with SqliteFile(Path(sys.argv[1]), write=True) as file:
        journal = SqliteJournal(file)
        while True:
            made = record(task_id(), 1)
            await journal.append([made])
            print(made.id, flush=True)

asyncio.run(write())
"""


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().strip() for _ in range(100)]
    with pytest.raises(Rejected, match=f"process {writer.pid}"):
        async with SqliteFile(path, write=True):
            pass
    writer.send_signal(signal.SIGKILL)
    acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    async with SqliteFile(path, write=True) as file:
        stored = {found.id for _, found in await SqliteJournal(file).read(limit=1_000_000)}
    assert stored >= set(acknowledged)


async def test_readers_beside_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal.db"
    async with SqliteFile(path, write=True) as file, SqliteFile(path, write=False) as reading:
        await SqliteJournal(file).append([record(task_id(), 1)])
        assert len(await SqliteJournal(reading).read()) == 1
        with pytest.raises(Unavailable, match="readonly"):
            await SqliteJournal(reading).append([record(task_id(), 1)])
    async with SqliteFile(path, write=False) as reading:
        assert len(await SqliteJournal(reading).read()) == 1


async def test_a_file_that_is_not_there_or_not_ours(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="No journal"):
        async with SqliteFile(tmp_path / "none.db", write=False):
            pass
    text = tmp_path / "text.db"
    text.write_text("this is a text file, and a long enough one to be read as a header" * 20)
    for write in (True, False):
        with pytest.raises(Unavailable, match="not a database") as caught:
            async with SqliteFile(text, write=write):
                pass
        assert "rebuilds it" in str(caught.value)
    newer = tmp_path / "newer.db"
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(Rejected, match="schema 99"):
        async with SqliteFile(newer, write=True):
            pass


async def test_a_failed_open_gives_the_lock_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_text("no database" * 100)
    with pytest.raises(Unavailable):
        async with SqliteFile(path, write=True):
            pass
    path.unlink()
    async with SqliteFile(path, write=True) as file:
        assert await file.rows("SELECT count(*) FROM journal") == [(0,)]


async def test_a_transaction_that_fails_stores_nothing(tmp_path: Path) -> None:
    async with SqliteFile(tmp_path / "journal.db", write=True) as file:

        def half(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO cursor VALUES ('a', 'b')")
            connection.execute("INSERT INTO nowhere VALUES (1)")

        with pytest.raises(Unavailable, match="nowhere"):
            await file.run(half)
        assert await file.rows("SELECT count(*) FROM cursor") == [(0,)]
