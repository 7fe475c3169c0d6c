"""What an independent consumer finds on a Kafka topic, from its beginning."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from tests.services.poll import until


def consumed(connection: dict[str, str], topic: str, seconds: float = 30) -> list[tuple[str, Any]]:
    """(key, JSON value) of every record that is there now; in order within a key."""
    settings = {**connection, "group.id": "independent", "enable.auto.commit": False, "log_level": 2}
    consumer = Consumer(settings)
    try:
        found: list[tuple[str, Any]] = []
        for number, low, high in until(lambda: _extent(consumer, topic), seconds, f"topic {topic}"):
            consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING)])
            at = low
            while at < high:
                message = consumer.poll(seconds)
                assert message is not None, f"{topic}: nothing more after {at} of {high}"
                if (error := message.error()) is not None:
                    raise KafkaException(error)
                at = (message.offset() or 0) + 1
                found.append(((message.key() or b"").decode(), json.loads(message.value() or b"null")))
        return found
    finally:
        consumer.close()


def _extent(consumer: Consumer, topic: str) -> list[tuple[int, int, int]]:
    """(partition, first offset, end); nothing while the topic is being made, or its leader is elected."""
    found = []
    try:
        partitions = consumer.list_topics(topic, timeout=5).topics[topic].partitions
        for number in partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=5)
            found.append((number, low, high))
    except KafkaException:
        return []
    return found


def states_by_task(connection: dict[str, str]) -> dict[str, list[str]]:
    """State names by task, in order; repeats dropped by the state's id, as a consumer should."""
    states: dict[str, list[str]] = defaultdict(list)
    seen: set[str] = set()
    for task, record in consumed(connection, "task.state"):
        if record["id"] not in seen:
            seen.add(record["id"])
            states[task].append(record["stateName"])
    return dict(states)
