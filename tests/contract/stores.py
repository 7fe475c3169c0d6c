"""The adapters that each port's suite runs over; a new adapter is one more entry here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from skald_bridge.adapters.memory_pulse import MemoryPulse
from skald_bridge.adapters.mongo_archive import MongoArchive
from skald_bridge.adapters.redis_pulse import RedisConfig, RedisPulse
from skald_bridge.adapters.sqlite import SqliteArchive, SqliteCursor, SqliteJournal
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.pulse import SILENT
from skald_bridge.ports import Archive, Cursor, Journal, Pulse
from tests.contract.records import AT
from tests.services.memory_stores import MemoryArchive, MemoryCursor, MemoryJournal
from tests.services.mongo import Mongo
from tests.services.redis_server import RedisServer

T = TypeVar("T")
Opened = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[T]]


def _in_memory(make: Callable[[], T]) -> Opened[T]:
    @asynccontextmanager
    async def opened(_request: pytest.FixtureRequest) -> AsyncIterator[T]:
        yield make()

    return opened


def _in_sqlite(make: Callable[[SqliteFile], T]) -> Opened[T]:
    @asynccontextmanager
    async def opened(request: pytest.FixtureRequest) -> AsyncIterator[T]:
        folder: Path = request.getfixturevalue("tmp_path")
        async with SqliteFile(folder / "journal.db", write=True) as file:
            yield make(file)

    return opened


def _in_mongo(fixture: str) -> Opened[Archive]:
    """A database of its own on the server that the fixture names."""

    @asynccontextmanager
    async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Archive]:
        server: Mongo = request.getfixturevalue(fixture)
        async with MongoArchive(SecretStr(server.uri), f"skalds-{uuid4().hex}") as archive:
            yield archive

    return opened


@dataclass(frozen=True)
class PulseUnderTest:
    """A pulse, and how many seconds what was written at ``AT`` lives from then on; 0 for what is not there."""

    pulse: Pulse
    beat_lives: Callable[[TaskId], Awaitable[float]]
    exception_lives: Callable[[TaskId], Awaitable[float]]
    error_lives: Callable[[TaskId], Awaitable[float]]
    node_lives: Callable[[NodeId], Awaitable[float]]


@asynccontextmanager
async def _memory_pulse(_request: pytest.FixtureRequest) -> AsyncIterator[PulseUnderTest]:
    pulse = MemoryPulse()

    def lives(read: Callable[[str, datetime], Awaitable[object]]) -> Callable[[str], Awaitable[float]]:
        async def seconds(key: str) -> float:
            moments = [float(second) for second in range(2, 4000)]
            here = [at for at in moments if await read(key, AT + timedelta(seconds=at)) is not None]
            return here[-1] + 1 if here else 0

        return seconds

    async def vital(key: str, now: datetime, name: str) -> object:
        return getattr((await pulse.vitals([TaskId(key)], now)).get(TaskId(key), SILENT), name)

    async def node(key: str, now: datetime) -> object:
        return (await pulse.nodes(now)).get(NodeId(key))

    yield PulseUnderTest(
        pulse,
        lives(lambda key, now: vital(key, now, "heartbeat")),
        lives(lambda key, now: vital(key, now, "exception")),
        lives(lambda key, now: vital(key, now, "error")),
        lives(node),
    )


def _redis_pulse(fixture: str) -> Opened[PulseUnderTest]:
    """An emptied server; what is left to live, it says itself."""

    @asynccontextmanager
    async def opened(request: pytest.FixtureRequest) -> AsyncIterator[PulseUnderTest]:
        server: RedisServer = request.getfixturevalue(fixture)
        async with Redis(host=server.host, port=server.port) as plain:
            await plain.flushall()

            def lives(pattern: str) -> Callable[[str], Awaitable[float]]:
                async def seconds(key: str) -> float:
                    ms = await plain.pttl(pattern.format(key))
                    assert ms != -1, f"{pattern.format(key)} lives for ever"
                    return max(0, ms) / 1000

                return seconds

            async with RedisPulse(RedisConfig(server.host, server.port)) as pulse:
                yield PulseUnderTest(
                    pulse,
                    lives("task:{}:heartbeat"),
                    lives("task:{}:exception"),
                    lives("task:{}:has-error"),
                    lives("skalds:{}:heartbeat"),
                )

    return opened


JOURNALS: dict[str, Opened[Journal]] = {
    "memory": _in_memory(MemoryJournal),
    "sqlite": _in_sqlite(SqliteJournal),
}
ARCHIVES: dict[str, Opened[Archive]] = {
    "memory": _in_memory(MemoryArchive),
    "sqlite": _in_sqlite(SqliteArchive),
    "mongo-secantus": _in_mongo("mongo"),
    "mongo-java": _in_mongo("java_mongo"),
}
CURSORS: dict[str, Opened[Cursor]] = {
    "memory": _in_memory(MemoryCursor),
    "sqlite": _in_sqlite(SqliteCursor),
}
PULSES: dict[str, Opened[PulseUnderTest]] = {
    "memory": _memory_pulse,
    "redis": _redis_pulse("redis_server"),
    "redis-old": _redis_pulse("old_redis"),
}
