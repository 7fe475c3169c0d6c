"""Kafka's records for this bridge: each is received until it is committed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from skald_bridge.adapters.kafka_topics import CLIENT, REFUSED, Topics, explained
from skald_bridge.domain.commands import Received

_SESSION_MS = 6_000
"""The least that brokers take: so long a killed bridge's successor waits for its records."""
_A_DAY_MS = 86_400_000
"""How long commands may wait for Prefect before Kafka gives them to somebody else."""
_MOST_BYTES = 8 * 1024 * 1024
_log = logging.getLogger("skald_bridge.kafka")


class KafkaSubscription:
    """The ``Subscription`` port; ``async with`` it. ``connection`` holds librdkafka's settings of where and as whom."""

    def __init__(
        self, connection: dict[str, Any], topics: Topics, *, subscribed: Sequence[str], group: str
    ) -> None:
        self._connection = connection
        self._topics = topics
        self._subscribed = list(subscribed)
        self._group = group
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-consumer")
        self._consumer: Consumer | None = None
        self._refused: KafkaError | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._end)
        self._thread.shutdown(wait=False)

    async def receive(self, most: int, wait: float) -> list[Received]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._receive, most, wait)

    async def commit(self, records: Sequence[Received]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, records)

    def _receive(self, most: int, wait: float) -> list[Received]:
        try:
            consumer = self._connected()
            first = consumer.poll(wait)
            if self._refused is not None:
                raise KafkaException(self._refused)
            if first is None:
                return []
            return [_received(one) for one in (first, *consumer.consume(most - 1, 0.0)) if _is_record(one)]
        except KafkaException as error:
            self._end()
            raise explained(self._connection, error.args[0]) from error

    def _commit(self, records: Sequence[Received]) -> None:
        reached: dict[tuple[str, int], int] = {}
        for record in records:
            place = (record.topic, record.partition)
            reached[place] = max(reached.get(place, 0), record.offset + 1)
        offsets = [TopicPartition(topic, number, at) for (topic, number), at in reached.items()]
        try:
            self._connected().commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            # Its partitions may be another's by now, who received the same; a repeat is harmless.
            _log.info("offsets not committed: %s", error.args[0].str())

    def _connected(self) -> Consumer:
        if self._consumer is None:
            self._refused = None
            common = {"client.id": CLIENT, "error_cb": self._hear, **self._connection}
            self._topics.make(common, lambda: self._refused)
            self._consumer = Consumer(
                {
                    **common,
                    "group.id": self._group,
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "earliest",
                    "partition.assignment.strategy": "cooperative-sticky",
                    "session.timeout.ms": _SESSION_MS,
                    "heartbeat.interval.ms": _SESSION_MS // 3,
                    "max.poll.interval.ms": _A_DAY_MS,
                    "topic.metadata.refresh.interval.ms": 30_000,
                    "reconnect.backoff.max.ms": 1000,
                    "queued.max.messages.kbytes": _MOST_BYTES // 1024,
                    "fetch.wait.max.ms": 100,
                },
                logger=_log,
            )
            self._consumer.subscribe(self._subscribed)
        return self._consumer

    def _hear(self, error: KafkaError) -> None:
        if error.code() in REFUSED:
            self._refused = error

    def _end(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()


def _is_record(message: Message) -> bool:
    """Not one of the errors that librdkafka hands out among the records and mends itself."""
    error = message.error()
    if error is None:
        return True
    if error.code() in REFUSED or error.fatal():
        raise KafkaException(error)
    _log.debug("consumer: %s", error.str())
    return False


def _received(message: Message) -> Received:
    return Received(
        str(message.topic()),
        int(message.partition() or 0),
        int(message.offset() or 0),
        _bytes(message.key()),
        _bytes(message.value()),
    )


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
