"""Counters read again and again while the chaos goes on, each on a thread of its own: a frozen service stops one."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress

from confluent_kafka import Consumer, KafkaException, TopicPartition
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.chaos.lag import CHANGES, DELIVERED, JOURNAL, KAFKA, MONGO, REDIS, RUNNING, STARTED
from tests.chaos.stage import NODES, Stage, stamp_lines

STATE_TOPIC = "task.state"
DATABASE, TASKS = "skalds", "tasks"
_EVERY = 0.25
_ANSWER = 1.0
_A_TIME = {"updateDateTime": {"$gt": 0, "$lt": 10**14}}
"""Not so a document that is poison."""
_AWAY = (OSError, sqlite3.Error, RedisError, PyMongoError, KafkaException)


class Watch:
    """``series`` by name, as ``lag`` reads them; ``rss`` is the most memory the bridge had, in bytes."""

    def __init__(self, stage: Stage) -> None:
        self.series: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.rss = 0
        self._stage = stage
        self._over = threading.Event()
        looks: list[Callable[[], Iterator[Callable[[], Mapping[str, float]]]]] = [
            self._stamps,
            self._journal,
            self._kafka,
            self._redis,
            self._mongo,
        ]
        self._threads = [threading.Thread(target=self._run, args=[look], daemon=True) for look in looks]

    @contextmanager
    def watching(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join(5)

    def _run(self, opened: Callable[[], Iterator[Callable[[], Mapping[str, float]]]]) -> None:
        with contextmanager(opened)() as look:
            while not self._over.wait(_EVERY):
                with suppress(*_AWAY):
                    found = look()
                    at = time.monotonic()
                    for name, value in found.items():
                        self.series[name].append((at, value))

    def _stamps(self) -> Iterator[Callable[[], Mapping[str, float]]]:
        def look() -> Mapping[str, float]:
            self.rss = max(self.rss, self._stage.bridge.rss())
            return {STARTED: len({json.loads(line)["task"] for line in stamp_lines(self._stage.stamps)})}

        yield look

    def _journal(self) -> Iterator[Callable[[], Mapping[str, float]]]:
        def look() -> Mapping[str, float]:
            uri = f"{self._stage.journal.as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=_ANSWER)) as connection:
                (journal,) = connection.execute("SELECT max(position) FROM journal").fetchone()
                (changes,) = connection.execute("SELECT max(change) FROM archive").fetchone()
                running = connection.execute(
                    "SELECT count(DISTINCT task) FROM journal WHERE body ->> '$.state' = 'RUNNING'"
                ).fetchone()[0]
                positions = dict(connection.execute("SELECT name, position FROM delivered"))
            delivered = {DELIVERED[name]: positions.get(name.lower(), 0) for name in DELIVERED}
            return {JOURNAL: journal or 0, CHANGES: changes or 0, RUNNING: running, **delivered}

        yield look

    def _kafka(self) -> Iterator[Callable[[], Mapping[str, float]]]:
        settings = {**self._stage.kafka.client(), "group.id": "watch", "log_level": 0}
        consumer = Consumer(settings)

        def look() -> Mapping[str, float]:
            topic = consumer.list_topics(STATE_TOPIC, timeout=_ANSWER).topics[STATE_TOPIC]
            ends = [
                consumer.get_watermark_offsets(TopicPartition(STATE_TOPIC, number), timeout=_ANSWER)
                for number in topic.partitions
            ]
            return {KAFKA: sum(end[1] for end in ends if end)}

        try:
            yield look
        finally:
            consumer.close()

    def _redis(self) -> Iterator[Callable[[], Mapping[str, float]]]:
        redis = Redis(
            port=self._stage.redis.port,
            socket_timeout=_ANSWER,
            socket_connect_timeout=_ANSWER,
            retry=Retry(NoBackoff(), 0),
        )
        beats, seen = 0, None

        def look() -> Mapping[str, float]:
            nonlocal beats, seen
            found = redis.mget([f"skalds:{name}:heartbeat" for name in NODES])
            beats, seen = beats + (found != seen), found
            return {REDIS: beats}

        with redis:
            yield look

    def _mongo(self) -> Iterator[Callable[[], Mapping[str, float]]]:
        client: MongoClient[dict[str, float]] = MongoClient(
            self._stage.mongo.uri, timeoutMS=int(1000 * _ANSWER), serverSelectionTimeoutMS=int(1000 * _ANSWER)
        )

        def look() -> Mapping[str, float]:
            newest = client[DATABASE][TASKS].find_one(_A_TIME, sort=[("updateDateTime", -1)])
            return {MONGO: newest["updateDateTime"] / 1000 if newest else 0}

        with client:
            yield look
