"""Messages reach a real broker once, in order, whatever happens to it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from skald_bridge.adapters.kafka import KafkaPublisher
from skald_bridge.adapters.kafka_topics import Topics
from skald_bridge.domain.errors import Denied
from skald_bridge.domain.messages import Message
from skald_bridge.wire.topics import OURS, STATE
from tests.services.consumed import consumed
from tests.services.kafka import Kafka, running_kafka

pytestmark = pytest.mark.timeout(180)
KEYS = 20


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Kafka]:
    with running_kafka(tmp_path / "kafka") as broker:
        yield broker


def publisher(connection: dict[str, str]) -> KafkaPublisher:
    return KafkaPublisher(connection, Topics(OURS, partitions=6, replicas=3))


def messages(first: int, count: int) -> list[Message]:
    return [Message(STATE, f"task-{at % KEYS}", str(at).encode()) for at in range(first, first + count)]


async def test_topics_are_made_and_messages_arrive_once_in_order(broker: Kafka) -> None:
    async with publisher(broker.client()) as kafka:
        await kafka.publish(messages(0, 2000))
        await kafka.publish([])
    found = consumed(broker.client(), STATE)
    assert sorted(value for _, value in found) == list(range(2000))
    for key in {key for key, _ in found}:
        values = [value for of, value in found if of == key]
        assert values == sorted(values)
    topics = AdminClient(broker.client()).list_topics(timeout=10).topics
    assert {topic: len(topics[topic].partitions) for topic in OURS} == dict.fromkeys(OURS, 6)


async def test_a_broker_that_is_killed_is_waited_for_and_gets_everything(broker: Kafka) -> None:
    async with publisher(broker.client()) as kafka:
        await kafka.publish(messages(0, 500))
        await asyncio.to_thread(broker.kill)
        publishing = asyncio.create_task(kafka.publish(messages(500, 500)))
        await asyncio.to_thread(broker.start)
        await asyncio.wait_for(publishing, 60)
    found = consumed(broker.client(), STATE)
    assert {value for _, value in found} == set(range(1000))
    for number in range(KEYS):
        seen = [value for key, value in found if key == f"task-{number}"]
        assert list(dict.fromkeys(seen)) == sorted(set(seen))


async def test_an_end_does_not_wait_for_a_broker_that_is_away(broker: Kafka) -> None:
    async with publisher(broker.client()) as kafka:
        await kafka.publish(messages(0, 1))
        await asyncio.to_thread(broker.kill)
        publishing = asyncio.create_task(kafka.publish(messages(1, 1)))
        done, _ = await asyncio.wait([publishing], timeout=0.5)
        assert not done
        publishing.cancel()


@pytest.mark.parametrize("listener", ["SASL_PLAINTEXT", "SASL_SSL"])
async def test_a_user_and_a_password(broker: Kafka, listener: str) -> None:
    connection = broker.client(listener)  # type: ignore[arg-type]
    async with publisher(connection) as kafka:
        await kafka.publish(messages(0, 10))
    assert len(consumed(broker.client(), STATE)) == 10
    async with publisher({**connection, "sasl.password": "wrong"}) as kafka:
        with pytest.raises(Denied, match="KAFKA_PASSWORD") as refused:
            await kafka.publish(messages(0, 1))
        assert "wrong" not in str(refused.value)


async def test_what_a_broker_refuses_for_its_size_is_named_and_the_rest_is_stored(broker: Kafka) -> None:
    async with publisher(broker.client()) as kafka:
        await kafka.publish(messages(0, 1))
        _limit(broker, 5000)
        large = Message(
            STATE, "task-1", b'"' + os.urandom(15_000).hex().encode() + b'"'
        )  # it cannot be compressed
        batch = [*messages(1, 400), large, *messages(401, 400), Message(STATE, "\ud800", b"1")]
        refused = await kafka.publish(batch)
        assert {message.key for message, _ in refused} == {large.key, batch[-1].key}
        assert len(refused) == 2
        assert await kafka.publish([large]) != []
        assert await kafka.publish(messages(801, 10)) == []
    found = consumed(broker.client(), STATE)
    assert {value for _, value in found} == set(range(811))
    for key in {key for key, _ in found}:
        values = list(dict.fromkeys(value for of, value in found if of == key))
        assert values == sorted(values), "each of a key's messages comes after those before it"


def _limit(broker: Kafka, size: int) -> None:
    """The broker's own limit for one batch of the topic."""
    change = ConfigResource(
        ResourceType.TOPIC,
        STATE,
        incremental_configs=[
            ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
        ],
    )
    admin = AdminClient(broker.client())
    for answer in admin.incremental_alter_configs([change]).values():
        answer.result(20)
