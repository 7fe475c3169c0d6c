"""One SQLite file: its schema, its single writer, and readers beside it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Self, TypeVar

from skald_bridge.domain.errors import NotFound, Rejected, SkaldError, Unavailable, Undeliverable

T = TypeVar("T")
_OF_THE_ROW = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeError,
)
"""Errors of what is written or asked for; all others are of the file or the disk."""
VERSION = 1
CONVERTED = 64 * 2**20
"""Bytes up to which a file that cannot shrink is made one that can, when it opens."""
_INCREMENTAL = 2
_REBUILD = "Move the file away; the bridge rebuilds it from Prefect."
_SCHEMA = """
CREATE TABLE journal (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    task TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX journal_task ON journal (task, sequence);
CREATE TABLE archive (
    id TEXT PRIMARY KEY,
    class_name TEXT NOT NULL,
    lifecycle TEXT NOT NULL,
    created TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    change INTEGER NOT NULL,
    revised INTEGER NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX archive_change ON archive (change);
CREATE INDEX archive_revised ON archive (revised);
CREATE INDEX archive_created ON archive (created);
CREATE INDEX archive_lifecycle ON archive (lifecycle, created);
CREATE TABLE cursor (name TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE delivered (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
"""
_ADDED = """
CREATE TABLE IF NOT EXISTS recordings (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    task TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS recordings_task ON recordings (task, position);
CREATE TABLE IF NOT EXISTS dead_letters (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    defect INTEGER NOT NULL,
    key BLOB,
    body BLOB,
    again INTEGER NOT NULL
);
"""
"""Also for files of the same version that were made before."""


class SqliteFile:
    """``async with SqliteFile(path, write=True) as file``; all work happens on one thread of its own.

    WAL with ``synchronous=NORMAL``: a committed transaction survives the death of the process. The death of
    the machine can cost the newest ones, the cursor's with them, and the sweep makes them good.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path = path
        self._write = write
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._lock: IO[str] | None = None
        self._connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, self._open)
        except BaseException:
            self._thread.submit(self._close)
            self._thread.shutdown()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """``work`` in one transaction, which is committed when this returns.

        Raises:
            Unavailable: SQLite cannot do it (disk full, file damaged); nothing of it is stored.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._guarded, self._transaction, work)

    async def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query finds; raises as ``run`` does."""
        return await self.run(lambda connection: connection.execute(sql, values).fetchall())

    async def wipe(self) -> None:
        """Forget everything; the file is as small as a new one."""

        def work(connection: sqlite3.Connection) -> None:
            for table in ("journal", "archive", "recordings", "cursor", "delivered", "dead_letters"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608

        await self.run(work)
        await self.run(_vacuum)

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None:
            raise Unavailable(f"{self.path} is closed")
        with self._connection:
            return work(self._connection)

    def _guarded(self, function: Callable[..., T], *arguments: object) -> T:
        try:
            return function(*arguments)
        except _OF_THE_ROW as error:
            raise Undeliverable(f"SQLite does not take it: {error}") from error
        except (sqlite3.Error, OSError) as error:
            raise self._explained(error) from error

    def _open(self) -> None:
        if self._write:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path)
            self._connection = sqlite3.connect(self.path, timeout=30, check_same_thread=False)
            self._let_it_shrink(self._connection)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            if self._version() == 0:
                self._connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
            if self._version() == VERSION:
                self._connection.executescript(f"BEGIN; {_ADDED} COMMIT;")
        else:
            if not self.path.is_file():
                raise NotFound(f"No journal at {self.path}", remedy="The bridge writes it: start `skald up`.")
            uri = f"{self.path.absolute().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(uri, uri=True, timeout=30, check_same_thread=False)
        if (version := self._version()) != VERSION:
            raise Rejected(
                f"{self.path} has schema {version}, this version reads {VERSION}",
                remedy=_REBUILD,
            )

    def _let_it_shrink(self, connection: sqlite3.Connection) -> None:
        """New files and small ones of old; a large one would take too long, its free pages are used again."""
        pages, page_size, mode = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "page_size", "auto_vacuum")
        )
        if pages == 0:
            connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
        elif mode != _INCREMENTAL and self._version() == VERSION and pages * page_size < CONVERTED:
            # Where the disk has no room for it, the file is as good as before.
            with contextlib.suppress(sqlite3.OperationalError):
                _vacuum(connection)

    def _version(self) -> int:
        if self._connection is None:
            return 0
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _explained(self, error: Exception) -> SkaldError:
        damaged = any(word in str(error) for word in ("malformed", "not a database"))
        remedy = _REBUILD if damaged else "Check the disk's free space and the file's permissions."
        return Unavailable(f"{self.path}: {error}", remedy=remedy)


def _vacuum(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
    connection.execute("VACUUM")


def _locked(path: Path) -> IO[str]:
    """The writer's lock; the kernel gives it back when the process ends, however it ends."""
    lock = path.with_name(path.name + ".lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise Rejected(
            f"Another bridge (process {owner}) writes {path}",
            remedy="Stop it, or give this one a journal of its own.",
        ) from error
    with contextlib.suppress(OSError):
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
    return lock
