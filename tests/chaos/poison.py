"""Items that nobody can carry out, put where the bridge reads while tasks flow; and whether each was answered."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

from bson import Binary, Decimal128, Int64
from confluent_kafka import KafkaError, Message, Producer
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from redis import Redis
from redis.exceptions import RedisError

from skald_bridge.wire.topics import ASSIGN, CANCEL, UPDATE
from tests.chaos.stage import Stage
from tests.chaos.watch import DATABASE, TASKS
from tests.services.consumed import consumed

EVERY = 0.5
_PATIENCE = 60.0
_DEEP = b"[" * 10_000 + b"]" * 10_000
RECORDS = (
    b"",
    b"\xff\xfe",
    b"null",
    b'{"taskIds":["x"],"note":' + _DEEP + b"}",
    b"\0" * 200_000,
    b'{"taskIds":["x"],"createDateTime":' + b"9" * 5000 + b"}",
    b'{"taskIds":"' + b"a" * 300_000 + b'"}',
    b'{"taskIds":["\\ud800"]}',
)
DOCUMENTS: tuple[dict[str, Any], ...] = (
    {"className": 5},
    {"className": "steady", "attachments": {"seconds": float("nan")}},
    {"className": "steady", "attachments": {"seconds": Decimal128("1")}},
    {"className": "steady", "attachments": {"folder": Binary(b"\0", 0)}},
    {"className": "steady", "attachments": {"seconds": "x" * 9_000_000}},
    {"className": "nobodys"},
    {"className": "steady", "priority": Int64(2**62)},
)


class Poison(threading.Thread):
    """Puts one item after the other until ``stop``, whoever is away at the moment; each is the same in every run."""

    def __init__(self, made: Stage, seed: int) -> None:
        super().__init__(name="poison", daemon=True)
        self._stage = made
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self._producer = Producer({**made.kafka.client(), "log_level": 0, "message.timeout.ms": 300_000})
        self.records: set[tuple[str, int, int]] = set()
        """Topic, partition and offset of what Kafka has."""
        self.documents: set[str] = set()
        """Ids of what MongoDB has."""
        self.keys = 0

    def run(self) -> None:
        kinds: tuple[Callable[[], None], ...] = (self._record, self._document, self._key)
        number = 0
        while not self._stopping.wait(EVERY):
            kinds[number % len(kinds)]()
            number += 1
            self._producer.poll(0)

    def stop(self) -> None:
        """Returns when all that was put is where the bridge reads."""
        self._stopping.set()
        self.join()
        self._producer.flush(_PATIENCE)

    def unanswered(self) -> list[str]:
        """Records without a rejection, and documents that are not Failed with a reason."""
        told = {
            (value["topic"], value["partition"], value["offset"])
            for _, value in consumed(self._stage.kafka.client(), "task.rejected")
        }
        left = [
            f"record {topic}/{partition}/{offset} has no answer"
            for topic, partition, offset in self.records - told
        ]
        with MongoClient[dict[str, Any]](self._stage.mongo.uri) as client:
            tasks = client[DATABASE][TASKS]
            for id_ in sorted(self.documents):
                found = tasks.find_one({"id": id_}, {"lifecycleStatus": 1, "exception": 1}) or {}
                if found.get("lifecycleStatus") != "Failed" or not found.get("exception"):
                    left.append(f"document {id_} is {found.get('lifecycleStatus')}: {found.get('exception')}")
        return left

    def _record(self) -> None:
        topic, value = self._random.choice((ASSIGN, CANCEL, UPDATE)), self._random.choice(RECORDS)
        key = self._random.choice((None, b"poison", b"\xff"))
        with suppress(BufferError):
            self._producer.produce(topic, value, key, on_delivery=self._delivered)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.records.add(
                (str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))
            )

    def _document(self) -> None:
        id_ = f"poison-{uuid4().hex[:8]}"
        now = int(time.time() * 1000)
        common = {"id": id_, "mode": "Passive", "lifecycleStatus": "Created", "createDateTime": now}
        try:
            with MongoClient[dict[str, Any]](self._stage.mongo.uri, timeoutMS=3000) as client:
                client[DATABASE][TASKS].insert_one({**common, **self._random.choice(DOCUMENTS)})
        except PyMongoError:
            return  # whether it is there, nobody knows
        self.documents.add(id_)

    def _key(self) -> None:
        """Of a node that there is not; it seems to live."""
        name = self._random.choice(("allow-task-class-name", "all-task", "heartbeat"))
        key = f"skalds:ghost:{name}"
        with suppress(RedisError), Redis(port=self._stage.redis.port, socket_timeout=2) as redis:
            redis.hset("skalds:hash", "ghost", "99999999999999")
            redis.hexpire("skalds:hash", 600, "ghost")
            redis.delete(key)
            self._random.choice(
                (
                    lambda: redis.set(key, "[" * 100_000, ex=600),
                    lambda: redis.sadd(key, "a"),
                    lambda: redis.hset(key, "a", "b"),
                )
            )()
            redis.expire(key, 600)
            self.keys += 1
