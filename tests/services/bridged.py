"""Kafka, Redis and MongoDB with a bridge of its own that carries to them and takes their commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from pymongo import MongoClient
from redis import Redis

from tests.services.bridge_process import BridgeProcess
from tests.services.consumed import states_by_task
from tests.services.kafka import Kafka
from tests.services.mongo import Mongo
from tests.services.redis_server import RedisServer


class Services:
    """All three, and a bridge that carries to them."""

    def __init__(self, kafka: Kafka, redis: RedisServer, mongo: Mongo, bridge: BridgeProcess) -> None:
        self.kafka, self.redis, self.mongo, self.bridge = kafka, redis, mongo, bridge
        self.pulse = Redis(port=redis.port, decode_responses=True)
        self.documents = MongoClient[dict[str, Any]](mongo.uri)["skalds"]["tasks"]

    def states(self, runs: list[UUID]) -> dict[str, list[str]]:
        found = states_by_task(self.kafka.client())
        return {str(run): found.get(str(run), []) for run in runs}

    def states_of(self, task: str) -> list[str]:
        return states_by_task(self.kafka.client()).get(task, [])

    def document(self, run: UUID) -> dict[str, Any]:
        return self.task(str(run))

    def task(self, task: str) -> dict[str, Any]:
        return self.documents.find_one({"id": task}) or {}


@contextmanager
def bridged(
    kafka: Kafka, redis: RedisServer, mongo: Mongo, journal: Path, env: Mapping[str, str]
) -> Iterator[Services]:
    """``env`` names Prefect's API, and may say more of the bridge."""
    named = {
        "KAFKA_HOST": "127.0.0.1",
        "KAFKA_PORT": str(kafka.port),
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(redis.port),
        "MONGO_HOST": mongo.uri,
    }
    bridge = BridgeProcess(journal, {**named, **env})
    bridge.start()
    try:
        yield Services(kafka, redis, mongo, bridge)
    finally:
        bridge.kill()
