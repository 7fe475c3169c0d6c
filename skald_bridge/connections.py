"""Kafka, Redis and MongoDB as the settings name them: by a block saved in Prefect, or by host and user.

The blocks know what a connection is made of; the libraries are imported where a service is configured:
together they take half a second.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr, ValidationError

from skald_bridge.domain.errors import InvalidInput, Unavailable
from skald_bridge.ports import Cluster
from skald_bridge.settings import Settings
from skald_bridge.wire.topics import COMMANDS, OURS

if TYPE_CHECKING:
    from prefect.blocks.core import Block

    from skald_bridge.adapters.kafka import KafkaPublisher
    from skald_bridge.adapters.kafka_consumer import KafkaSubscription
    from skald_bridge.adapters.kafka_topics import Topics
    from skald_bridge.adapters.mongo_archive import MongoArchive
    from skald_bridge.adapters.mongo_documents import MongoDocuments
    from skald_bridge.adapters.mongo_recordings import MongoRecordings
    from skald_bridge.adapters.redis_peers import RedisPeers
    from skald_bridge.adapters.redis_pictures import RedisPictures
    from skald_bridge.adapters.redis_pulse import RedisPulse

_B = TypeVar("_B", bound="Block")


async def kafka(settings: Settings) -> tuple[KafkaPublisher, KafkaSubscription] | None:
    """``None`` where no Kafka is configured. Raises ``InvalidInput``."""
    if not (settings.kafka_block or settings.kafka_host):
        return None
    from skald_blocks import KafkaCluster
    from skald_bridge.adapters.kafka import KafkaPublisher
    from skald_bridge.adapters.kafka_consumer import KafkaSubscription

    cluster = await _saved(KafkaCluster, settings.kafka_block) or _made(
        "KAFKA",
        lambda: KafkaCluster(
            bootstrap_servers=f"{settings.kafka_host}:{settings.kafka_port}",
            username=settings.kafka_username,
            password=settings.kafka_password,
            tls=settings.kafka_tls,
            ca_file=_text(settings.kafka_ca_file),
        ),
    )
    connection, topics = cluster.connection(), _topics(settings)
    subscription = KafkaSubscription(connection, topics, subscribed=COMMANDS, group=settings.kafka_group)
    return KafkaPublisher(connection, topics), subscription


async def redis(settings: Settings) -> RedisPulse | None:
    """``None`` where no Redis is configured. Raises ``InvalidInput``."""
    if not (settings.redis_block or settings.redis_host):
        return None
    from skald_blocks import RedisCache
    from skald_bridge.adapters.redis_pulse import RedisConfig, RedisPulse

    cache = await _saved(RedisCache, settings.redis_block) or _made(
        "REDIS",
        lambda: RedisCache(
            host=settings.redis_host or "",
            port=settings.redis_port,
            username=settings.redis_username,
            password=settings.redis_password,
            tls=settings.redis_tls,
            ca_file=_text(settings.redis_ca_file),
        ),
    )
    config = RedisConfig(
        host=cache.host,
        port=cache.port,
        username=cache.username,
        password=cache.password,
        tls=cache.tls,
        ca_file=Path(cache.ca_file) if cache.ca_file else None,
        db=cache.db,
    )
    return RedisPulse(config, period=settings.redis_sync_period, key_ttl=settings.redis_key_ttl)


def peers(pulse: RedisPulse) -> RedisPeers:
    """Who else beats there."""
    from skald_bridge.adapters.redis_peers import RedisPeers

    return RedisPeers(pulse)


def pictures(pulse: RedisPulse) -> RedisPictures:
    """What tasks keep there."""
    from skald_bridge.adapters.redis_pictures import RedisPictures

    return RedisPictures(pulse)


async def mongo(settings: Settings) -> tuple[MongoArchive, MongoDocuments] | None:
    """``None`` where no MongoDB is configured. Raises ``InvalidInput``."""
    if not (settings.mongo_block or settings.mongo_host):
        return None
    from skald_blocks import MongoArchive as MongoBlock
    from skald_bridge.adapters.mongo_archive import MongoArchive
    from skald_bridge.adapters.mongo_documents import MongoDocuments

    saved = await _saved(MongoBlock, settings.mongo_block)
    archive = (
        MongoArchive(saved.uri, saved.database)
        if saved is not None
        else MongoArchive(settings.mongo_host or SecretStr(""), settings.db_name)
    )
    return archive, MongoDocuments(archive)


def recordings(archive: MongoArchive) -> MongoRecordings:
    """Beside the archive."""
    from skald_bridge.adapters.mongo_recordings import MongoRecordings

    return MongoRecordings(archive)


def cluster(kubeconfig: str | None, context: str | None, namespace: str | None) -> Cluster:
    """The Kubernetes cluster that these or KUBECONFIG name, or the one that this process runs in; not asked yet.

    Raises:
        Unavailable: the client is not installed, or no cluster is configured.
        InvalidInput: there is no such context.
    """
    if importlib.util.find_spec("kubernetes") is None:
        raise Unavailable(
            "Kubernetes' client is not installed.", remedy="pip install 'prefect-skald[kubernetes]'"
        )
    from skald_bridge.adapters.kubernetes import connected

    return connected(kubeconfig, context, namespace)


def _topics(settings: Settings) -> Topics:
    from skald_bridge.adapters.kafka_topics import Topics

    return Topics(OURS, settings.kafka_topic_partitions, settings.kafka_replication_factor)


async def _saved(kind: type[_B], name: str | None) -> _B | None:
    if not name:
        return None
    try:
        loaded: Any = await kind.aload(name)
    except ValueError as error:
        raise InvalidInput(
            f"There is no block {kind.get_block_type_slug()}/{name} in Prefect",
            remedy="`prefect block ls` lists them; save it, or correct its name in the settings.",
        ) from error
    return loaded if isinstance(loaded, kind) else None


def _made(prefix: str, make: Callable[[], _B]) -> _B:
    try:
        return make()
    except ValidationError as error:
        first = error.errors()[0]
        field = "_".join([prefix, *(str(part).upper() for part in first["loc"])])
        said = first["msg"].removeprefix("Value error, ")
        raise InvalidInput(f"{field}: {said}", remedy=f"Correct the {prefix}_… settings.") from error


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None
