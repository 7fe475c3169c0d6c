"""The adapters that each port's suite runs over; a new adapter is one more entry here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from skald_bridge.adapters.memory import MemoryArchive, MemoryCursor, MemoryJournal, MemoryPulse
from skald_bridge.adapters.sqlite import SqliteArchive, SqliteCursor, SqliteJournal
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.ports import Archive, Cursor, Journal, Pulse

T = TypeVar("T")
Opened = Callable[[Path], AbstractAsyncContextManager[T]]


def _in_memory(make: Callable[[], T]) -> Opened[T]:
    @asynccontextmanager
    async def opened(_folder: Path) -> AsyncIterator[T]:
        yield make()

    return opened


def _in_sqlite(make: Callable[[SqliteFile], T]) -> Opened[T]:
    @asynccontextmanager
    async def opened(folder: Path) -> AsyncIterator[T]:
        async with SqliteFile(folder / "journal.db", write=True) as file:
            yield make(file)

    return opened


JOURNALS: dict[str, Opened[Journal]] = {
    "memory": _in_memory(MemoryJournal),
    "sqlite": _in_sqlite(SqliteJournal),
}
ARCHIVES: dict[str, Opened[Archive]] = {
    "memory": _in_memory(MemoryArchive),
    "sqlite": _in_sqlite(SqliteArchive),
}
CURSORS: dict[str, Opened[Cursor]] = {
    "memory": _in_memory(MemoryCursor),
    "sqlite": _in_sqlite(SqliteCursor),
}
PULSES: dict[str, Opened[Pulse]] = {"memory": _in_memory(MemoryPulse)}
