"""Kafka: what is published is stored once, in order per key, or waited for."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Producer

from skald_bridge.adapters.kafka_topics import CLIENT, OF_THE_MESSAGE, REFUSED, Topics, explained
from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.messages import Message

_STEP = 0.25
"""Seconds after which a publisher that waits looks whether it was closed."""
_LINGER_MS = 2
_log = logging.getLogger("skald_bridge.kafka")


class KafkaPublisher:
    """The ``Publisher`` port; ``async with`` it.

    ``connection`` holds librdkafka's settings of where and as whom. An idempotent producer with no limit to
    its patience: a batch ends stored, in order, or this process ends first.
    """

    def __init__(self, connection: dict[str, Any], topics: Topics) -> None:
        self._connection = connection
        self._topics = topics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka")
        self._closed = threading.Event()
        self._producer: Producer | None = None
        self._denied: KafkaError | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._closed.set()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._end)
        self._thread.shutdown(wait=False)

    async def publish(self, messages: Sequence[Message]) -> list[tuple[Message, str]]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._publish, messages)

    def _publish(self, messages: Sequence[Message]) -> list[tuple[Message, str]]:
        refused = self._send(messages)
        if not refused or len(messages) == 1:
            return [(messages[index], why) for index, why in sorted(refused.items())]
        # A broker refuses a whole batch for one message that is too large: each of its keys' is said again alone.
        first: dict[tuple[str, str], int] = {}
        for index in sorted(refused):
            first.setdefault((messages[index].topic, messages[index].key), index)
        again = [
            message
            for index, message in enumerate(messages)
            if index >= first.get((message.topic, message.key), len(messages))
        ]
        return [(message, why) for message in again for why in self._send([message]).values()]

    def _send(self, messages: Sequence[Message]) -> dict[int, str]:
        """Those refused, by index. Raises ``Unavailable``."""
        self._denied = None
        producer = self._connected()
        failed: list[KafkaError] = []
        refused: dict[int, str] = {}

        def stored(index: int, error: KafkaError | None, _message: object) -> None:
            if error is not None and error.code() in OF_THE_MESSAGE:
                refused[index] = error.str()
            elif error is not None:
                failed.append(error)

        try:
            for index, message in enumerate(messages):
                try:
                    self._put(producer, message, partial(stored, index))
                except KafkaException as error:
                    if error.args[0].code() not in OF_THE_MESSAGE:
                        raise
                    refused[index] = error.args[0].str()
                except (UnicodeError, TypeError, ValueError) as error:
                    refused[index] = str(error)
            while producer.flush(_STEP):
                if self._closed.is_set() or failed or self._denied is not None:
                    break
        except KafkaException as error:
            failed.append(error.args[0])
        if failed or self._denied is not None:
            self._end()
            raise explained(self._connection, failed[0] if failed else self._denied)
        if self._closed.is_set() and len(producer):
            raise Unavailable("Kafka did not store the last messages before the end")
        return refused

    def _put(self, producer: Producer, message: Message, stored: Any) -> None:
        while True:
            try:
                producer.produce(message.topic, message.value, message.key.encode(), on_delivery=stored)
            except BufferError:
                producer.poll(_STEP)
            else:
                return

    def _connected(self) -> Producer:
        if self._producer is None:
            self._topics.make(self._common(), lambda: self._denied)
            self._producer = Producer(
                {
                    **self._common(),
                    "enable.idempotence": True,
                    "acks": "all",
                    "linger.ms": _LINGER_MS,
                    # What Skalds' own clients can always read: lz4 ends their consumer where its library is missing.
                    "compression.type": "gzip",
                    "message.timeout.ms": 0,
                    "reconnect.backoff.max.ms": 1000,
                },
                logger=_log,
            )
        return self._producer

    def _common(self) -> dict[str, Any]:
        return {"client.id": CLIENT, "error_cb": self._hear, **self._connection}

    def _hear(self, error: KafkaError) -> None:
        """What librdkafka tells of no request in particular; all else but a refusal it tries again itself."""
        if error.code() in REFUSED:
            self._denied = error

    def _end(self) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(_STEP)
            self._producer = None
