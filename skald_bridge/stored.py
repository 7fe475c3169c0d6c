"""What a bridge keeps at a path, opened by those who only look: no Prefect is needed, so it is quick.

With ``main`` and ``connections`` it is where the adapters are known.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from skald_bridge.adapters import sqlite_dead_letters
from skald_bridge.adapters.sqlite import SqliteArchive, SqliteJournal
from skald_bridge.adapters.sqlite_dead_letters import SqliteDeadLetters
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.adapters.sqlite_retention import SqliteRetention
from skald_bridge.domain.dead_letters import DeadLetter
from skald_bridge.domain.retention import StoredSize
from skald_bridge.ports import Archive, Journal


@asynccontextmanager
async def journal(path: Path) -> AsyncIterator[Journal]:
    """The embedded journal for reading, also while a bridge writes it.

    Raises:
        NotFound: there is none at ``path``.
    """
    async with SqliteFile(path, write=False) as file:
        yield SqliteJournal(file)


@asynccontextmanager
async def archive(path: Path) -> AsyncIterator[Archive]:
    """The embedded archive for reading; it is in the journal's file."""
    async with SqliteFile(path, write=False) as file:
        yield SqliteArchive(file)


async def stored(path: Path) -> StoredSize:
    """What the file at ``path`` takes and holds, also while a bridge writes it. Raises as ``journal``."""
    async with SqliteFile(path, write=False) as file:
        return await SqliteRetention(file).stored()


async def dead_letters(path: Path) -> list[DeadLetter]:
    """What was set aside, newest first. Raises as ``journal``."""
    async with SqliteFile(path, write=False) as file:
        return await SqliteDeadLetters(file).newest()


def ask_again(path: Path, ids: Iterable[str]) -> int:
    """Have the bridge handle these once more; returns how many of them there are."""
    return sqlite_dead_letters.ask_again(path, list(ids))
