"""One installation's Kafka, Redis and MongoDB, and what both systems' users do there."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from pymongo import MongoClient
from pymongo.collection import Collection

from tests.services.kafka import Kafka, running_kafka
from tests.services.mongo import Mongo, running_mongo
from tests.services.redis_server import RedisServer, running_redis
from tests.services.skalds_peer.stamps import Stamps

TOPICS = ("task.assign", "task.cancel", "task.update.attachment", "taskworker.update", "testing")
_WEEK = 7 * 86_400_000


@dataclass
class World:
    """``folder`` holds the stamps and the logs; ``tasks`` is the collection of its own database."""

    folder: Path
    kafka: Kafka
    redis: RedisServer
    mongo: Mongo
    database: str = field(default_factory=lambda: f"skalds{uuid.uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.stamps = Stamps(self.folder / "stamps")
        self.client: MongoClient[dict[str, Any]] = MongoClient(self.mongo.uri)
        self.tasks: Collection[dict[str, Any]] = self.client[self.database]["tasks"]
        self.cache = redis.Redis.from_url(self.redis.url, decode_responses=True)
        self.admin = AdminClient({**self.kafka.client(), "log_level": 2})
        self._producer = Producer({**self.kafka.client(), "acks": "all", "linger.ms": 0, "log_level": 2})

    @property
    def env(self) -> dict[str, str]:
        """The variables that both systems read, and those of the workers' stamps."""
        return {
            "KAFKA_HOST": "127.0.0.1",
            "KAFKA_PORT": str(self.kafka.port),
            "KAFKA_REPLICATION_FACTOR": "1",
            "REDIS_HOST": self.redis.host,
            "REDIS_PORT": str(self.redis.port),
            "MONGO_HOST": self.mongo.uri,
            "DB_NAME": self.database,
            "STAMPS": str(self.stamps.file),
        }

    def make_topics(self) -> None:
        """As an operator does: a Skalds consumer that finds no topic looks again after minutes."""
        made = self.admin.create_topics([NewTopic(name, 6, 1) for name in TOPICS])
        for future in made.values():
            future.result(30)

    def joined(self, group: str) -> bool:
        """Whether a consumer of the group has its partitions: before that it hears nothing."""
        with contextlib.suppress(Exception):
            found = self.admin.describe_consumer_groups([group], request_timeout=5)[group].result(5)
            members = [member.assignment.topic_partitions for member in found.members if member.assignment]
            return bool(members) and all(members)
        return False

    def insert(self, class_name: str, count: int = 1, *, attachments: Any = None, **fields: Any) -> list[str]:
        """Ids of new task documents, as a client of Skalds writes them."""
        made = [document(class_name, attachments or {}, **fields) for _ in range(count)]
        self.tasks.insert_many(made)
        return [str(one["id"]) for one in made]

    def update(self, task: str, attachments: dict[str, Any]) -> None:
        """New attachments in the document, and the event that tells of them."""
        changed = {"attachments": attachments, "updateDateTime": int(time.time() * 1000)}
        self.tasks.update_one({"id": task}, {"$set": changed})
        self._announce("task.update.attachment", task)

    def cancel(self, task: str) -> None:
        self._announce("task.cancel", task)

    def _announce(self, topic: str, task: str) -> None:
        now = int(time.time() * 1000)
        about = dict.fromkeys(("id", "title", "initiator", "recipient"))
        event = {**about, "createDateTime": now, "updateDateTime": now, "taskIds": [task]}
        self._producer.produce(topic, json.dumps(event).encode(), key=task.encode())
        assert self._producer.flush(30) == 0, f"{topic} is not acknowledged"

    def read(self, task: str) -> dict[str, Any]:
        found = self.tasks.find_one({"id": task}, {"_id": 0})
        assert found is not None, f"no document of task {task}"
        return found

    def status(self, task: str) -> str:
        return str(self.read(task)["lifecycleStatus"])

    def statuses(self, tasks: Sequence[str]) -> dict[str, str]:
        """``lifecycleStatus`` by task."""
        found = self.tasks.find({"id": {"$in": list(tasks)}}, {"id": 1, "lifecycleStatus": 1})
        return {str(one["id"]): str(one["lifecycleStatus"]) for one in found}

    def heartbeat(self, task: str) -> int | None:
        value = self.cache.get(f"task:{task}:heartbeat")
        return None if value is None else int(str(value))

    def close(self) -> None:
        self.client.close()
        self.cache.close()


def document(class_name: str, attachments: dict[str, Any], **fields: Any) -> dict[str, Any]:
    now = int(time.time() * 1000)
    return {
        "id": f"task-{uuid.uuid4().hex[:12]}",
        "className": class_name,
        "source": "test",
        "name": None,
        "description": None,
        "executor": None,
        "dependencies": None,
        "mode": "Passive",
        "isPersistent": False,
        "createDateTime": now,
        "updateDateTime": now,
        "deadlineDateTime": now + _WEEK,
        "lifecycleStatus": "Created",
        "priority": 0,
        "attachments": attachments,
        **fields,
    }


@contextlib.contextmanager
def running_world(folder: Path) -> Iterator[World]:
    """Fresh services with Skalds' topics."""
    with (
        running_kafka(folder / "kafka") as kafka,
        running_redis(folder / "redis") as cache,
        running_mongo(folder / "mongo") as mongo,
    ):
        world = World(folder, kafka, cache, mongo)
        try:
            world.make_topics()
            yield world
        finally:
            world.close()
