"""The bridge's configuration: by Skalds' variables, or by blocks saved in Prefect."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from skald_blocks import KafkaCluster, MongoArchive, RedisCache
from skald_bridge import connections
from skald_bridge.domain.errors import InvalidInput, Unavailable
from skald_bridge.domain.messages import Message
from skald_bridge.domain.pulse import NodeBeat
from skald_bridge.settings import Settings
from tests.services.consumed import consumed
from tests.services.kafka import Kafka
from tests.services.mongo import Mongo
from tests.services.prefect_server import PrefectServer, free_port
from tests.services.redis_server import RedisServer
from tests.services.runs import talking_to
from tests.unit.bridge.facts import START

pytestmark = pytest.mark.server


async def test_blocks_saved_in_prefect_take_the_place_of_variables(
    server: PrefectServer, kafka: Kafka, redis_server: RedisServer, mongo: Mongo
) -> None:
    name = f"ours-{uuid4().hex[:8]}"
    with talking_to(server.url):
        await KafkaCluster(bootstrap_servers=f"127.0.0.1:{kafka.port}").save(name)  # type: ignore[misc]
        await RedisCache(host="127.0.0.1", port=redis_server.port).save(name)  # type: ignore[misc]
        await MongoArchive(uri=SecretStr(mongo.uri), database=name).save(name)  # type: ignore[misc]
        # The variables name what is not there: the blocks win.
        settings = Settings(
            kafka_block=name,
            kafka_host="127.0.0.1",
            kafka_port=free_port(),
            redis_block=name,
            redis_host="127.0.0.1",
            redis_port=free_port(),
            mongo_block=name,
            mongo_host=SecretStr("mongodb://127.0.0.1:1/"),
        )
        talk, pulse, documents = (
            await connections.kafka(settings),
            await connections.redis(settings),
            await connections.mongo(settings),
        )
        with pytest.raises(InvalidInput, match="kafka-cluster/nobody"):
            await connections.kafka(Settings(kafka_block="nobody"))
    assert talk is not None and pulse is not None and documents is not None
    async with talk[0], talk[1], pulse, documents[0]:
        await talk[0].publish([Message("task.cancel", name, b"{}")])
        await pulse.beat([NodeBeat(name)], [], START)  # type: ignore[arg-type]
        assert await documents[1].created(1) == []
    assert name in [key for key, _ in consumed(kafka.client(), "task.cancel")]


async def test_what_cannot_be_is_told_by_the_variables_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"KAFKA.*username needs a password"):
        await connections.kafka(Settings(kafka_host="k", kafka_username="skald"))
    with pytest.raises(InvalidInput, match=r"REDIS.*set tls"):
        await connections.redis(Settings(redis_host="r", redis_ca_file=tmp_path / "ca.pem"))
    with pytest.raises(InvalidInput, match="MONGO_HOST"):
        await connections.mongo(Settings(mongo_host=SecretStr("mongodb://a:b@c@d:27017")))
    assert await connections.kafka(Settings()) is None
    assert await connections.redis(Settings()) is None
    assert await connections.mongo(Settings()) is None


async def test_a_consumer_says_that_kafka_is_away() -> None:
    talk = await connections.kafka(Settings(kafka_host="127.0.0.1", kafka_port=free_port()))
    assert talk is not None
    async with talk[0], talk[1]:
        with pytest.raises(Unavailable, match="Kafka at 127"):
            await talk[1].receive(10, 1.0)
