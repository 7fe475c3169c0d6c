"""The one place that knows the concrete adapters."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from pydantic import SecretStr

from skald_bridge.adapters.clock import SystemClock
from skald_bridge.adapters.memory import MemoryPulse
from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.adapters.sqlite import SqliteArchive, SqliteCursor, SqliteJournal, SqlitePositions
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.domain.records import JournalRecord, TaskDocument
from skald_bridge.ports import Archive, Engine, Journal, Pulse
from skald_bridge.services.bridge import Bridge
from skald_bridge.services.outlets import to_kafka, to_mongo, to_redis
from skald_bridge.services.relay import Relay
from skald_bridge.settings import Settings
from skald_bridge.wire.topics import OURS

if TYPE_CHECKING:
    # Imported where a service is configured: together they take half a second.
    from skald_bridge.adapters.kafka import KafkaPublisher
    from skald_bridge.adapters.mongo_archive import MongoArchive
    from skald_bridge.adapters.redis_pulse import RedisPulse


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
    """A bridge over Prefect and the journal's file at ``path``, and nothing else; not running yet.

    Raises:
        Rejected: another bridge writes that file.
    """
    async with bridge(path, Settings.model_construct()) as made:
        yield made


@asynccontextmanager
async def bridge(path: Path, settings: Settings) -> AsyncIterator[Bridge]:
    """A bridge that also carries everything to the services that ``settings`` name; not running yet.

    What is stored at ``path`` comes first: a service that is away holds up nothing, and misses nothing.

    Raises:
        Rejected: another bridge writes that file.
        InvalidInput: a service's address cannot be one.
    """
    async with AsyncExitStack() as stack:
        prefect = await stack.enter_async_context(PrefectEngine())
        file = await stack.enter_async_context(SqliteFile(path, write=True))
        journal, archive, positions = SqliteJournal(file), SqliteArchive(file), SqlitePositions(file)
        clock = SystemClock()
        relays: list[Relay[JournalRecord] | Relay[TaskDocument]] = []
        heartbeats: Pulse | None = None
        if settings.kafka_host:
            publisher = await stack.enter_async_context(_kafka(settings))
            relays += to_kafka(journal, archive, positions, publisher)
        if settings.redis_host:
            heartbeats = await stack.enter_async_context(_redis(settings, settings.redis_host))
            relays += to_redis(archive, positions, heartbeats, clock)
        if settings.mongo_host is not None:
            remote = await stack.enter_async_context(_mongo(settings, settings.mongo_host))
            relays += to_mongo(archive, positions, remote)
        yield Bridge(
            prefect,
            journal,
            MemoryPulse(),
            archive,
            SqliteCursor(file),
            clock,
            jitter=lambda: random.uniform(0.5, 1.0),  # noqa: S311
            heartbeats=heartbeats,
            period=settings.redis_sync_period,
            relays=relays,
        )


def _kafka(settings: Settings) -> KafkaPublisher:
    from skald_bridge.adapters.kafka import KafkaPublisher

    connection: dict[str, str] = {"bootstrap.servers": f"{settings.kafka_host}:{settings.kafka_port}"}
    transport = "SSL" if settings.kafka_tls else "PLAINTEXT"
    if settings.kafka_username:
        secret = settings.kafka_password.get_secret_value() if settings.kafka_password else ""
        transport = f"SASL_{transport}"
        connection |= {
            "sasl.mechanism": "PLAIN",
            "sasl.username": settings.kafka_username,
            "sasl.password": secret,
        }
    if settings.kafka_ca_file is not None:
        connection["ssl.ca.location"] = str(settings.kafka_ca_file)
    return KafkaPublisher(
        {**connection, "security.protocol": transport},
        topics=OURS,
        partitions=settings.kafka_topic_partitions,
        replicas=settings.kafka_replication_factor,
    )


def _redis(settings: Settings, host: str) -> RedisPulse:
    from skald_bridge.adapters.redis_pulse import RedisConfig, RedisPulse

    config = RedisConfig(
        host=host,
        port=settings.redis_port,
        username=settings.redis_username,
        password=settings.redis_password,
        tls=settings.redis_tls,
        ca_file=settings.redis_ca_file,
    )
    return RedisPulse(config, period=settings.redis_sync_period, key_ttl=settings.redis_key_ttl)


def _mongo(settings: Settings, uri: SecretStr) -> MongoArchive:
    from skald_bridge.adapters.mongo_archive import MongoArchive

    return MongoArchive(uri, settings.db_name)


async def run_bridge(path: Path, settings: Settings | None = None) -> None:
    """Mirror Prefect until cancelled; a server that is away is waited for."""
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        # The loops have a backoff of their own, which ends at once when the server is back.
        async with bridge(path, settings or Settings.model_construct()) as made:
            await made.run()


async def rebuild(path: Path) -> int:
    """Make the journal and archive at ``path`` anew from what Prefect knows; returns the number of states."""
    async with SqliteFile(path, write=True) as file:
        await file.wipe()
    async with embedded(path) as bridge:
        await bridge.sweep.step()
        return bridge.sweep.repaired
