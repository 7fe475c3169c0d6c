"""The one place that knows the concrete adapters."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from skald_bridge.adapters.clock import SystemClock
from skald_bridge.adapters.memory import MemoryPulse
from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.adapters.sqlite import SqliteArchive, SqliteCursor, SqliteJournal
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.ports import Archive, Engine, Journal
from skald_bridge.services.bridge import Bridge


@asynccontextmanager
async def engine() -> AsyncIterator[Engine]:
    """Prefect at ``PREFECT_API_URL``."""
    async with PrefectEngine() as prefect:
        yield prefect


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


@asynccontextmanager
async def embedded(path: Path) -> AsyncIterator[Bridge]:
    """A bridge over Prefect, the journal's file at ``path`` and a pulse in memory; not running yet.

    Raises:
        Rejected: another bridge writes that file.
    """
    async with PrefectEngine() as prefect, SqliteFile(path, write=True) as file:
        yield Bridge(
            prefect,
            SqliteJournal(file),
            MemoryPulse(),
            SqliteArchive(file),
            SqliteCursor(file),
            SystemClock(),
            jitter=lambda: random.uniform(0.5, 1.0),  # noqa: S311
        )


async def run_bridge(path: Path) -> None:
    """Mirror Prefect into the journal at ``path`` until cancelled; a server that is away is waited for."""
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        # The loops have a backoff of their own, which ends at once when the server is back.
        async with embedded(path) as bridge:
            await bridge.run()


async def rebuild(path: Path) -> int:
    """Make the journal and archive at ``path`` anew from what Prefect knows; returns the number of states."""
    async with SqliteFile(path, write=True) as file:
        await file.wipe()
    async with embedded(path) as bridge:
        await bridge.sweep.step()
        return bridge.sweep.repaired
