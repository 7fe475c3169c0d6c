"""KafkaCluster, RedisCache, MongoArchive: what they ask for, what they make of it, what they keep to themselves."""

from __future__ import annotations

import subprocess
import sys

import pytest
from confluent_kafka import Producer
from prefect.blocks.core import Block
from pydantic import SecretStr, ValidationError
from pymongo import AsyncMongoClient, MongoClient
from redis import Redis, SSLConnection
from redis.asyncio import Redis as AsyncRedis

from skald_blocks import KafkaCluster, MongoArchive, RedisCache
from skald_blocks.environment import EnvironmentProblem

SECRET = "hunter2 "
BLOCKS = [
    KafkaCluster(bootstrap_servers="k:9092", username="u", password=SecretStr(SECRET)),
    RedisCache(host="r", username="u", password=SecretStr(SECRET)),
    MongoArchive(uri=SecretStr(f"mongodb://u:{SECRET}@m")),
]


def test_kafka_s_settings() -> None:
    assert KafkaCluster(bootstrap_servers="k:9092").connection() == {
        "bootstrap.servers": "k:9092",
        "security.protocol": "PLAINTEXT",
    }
    whole = KafkaCluster(
        bootstrap_servers="k:9093",
        username="u",
        password=SecretStr(SECRET),
        sasl_mechanism="SCRAM-SHA-512",
        tls=True,
        ca_file="/ca.pem",
        certificate_file="/me.pem",
        key_file="/me.key",
    )
    assert whole.connection() == {
        "bootstrap.servers": "k:9093",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "u",
        "sasl.password": SECRET,
        "ssl.ca.location": "/ca.pem",
        "ssl.certificate.location": "/me.pem",
        "ssl.key.location": "/me.key",
    }
    made = KafkaCluster(bootstrap_servers="k:9093", tls=True).producer_config({"linger.ms": 5})
    assert made == {
        "bootstrap.servers": "k:9093",
        "security.protocol": "SSL",
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 5,
    }


@pytest.mark.parametrize(
    ("host", "servers"),
    [
        ("kafka", "kafka:9095"),
        ("a, b:9092", "a:9095,b:9092"),
        ("10.0.0.1", "10.0.0.1:9095"),
        ("[::1]", "[::1]:9095"),
        ("[::1]:9", "[::1]:9"),
    ],
)
def test_kafka_from_skalds_environment(host: str, servers: str) -> None:
    given = {"KAFKA_HOST": host, "KAFKA_PORT": "9095", "KAFKA_USERNAME": "", "KAFKA_PASSWORD": ""}
    made = KafkaCluster.from_environment(given)
    assert made.connection() == {"bootstrap.servers": servers, "security.protocol": "PLAINTEXT"}
    given |= {"KAFKA_USERNAME": "u", "KAFKA_PASSWORD": SECRET, "KAFKA_TLS": "true", "KAFKA_CA_FILE": "/ca"}
    made = KafkaCluster.from_environment(given)
    assert made.connection()["security.protocol"] == "SASL_SSL"
    assert made.connection()["sasl.password"] == SECRET
    assert made.connection()["ssl.ca.location"] == "/ca"


def test_confluent_cloud_is_spoken_to_as_skalds_does() -> None:
    given = {"KAFKA_HOST": "x.confluent.cloud", "KAFKA_USERNAME": "u", "KAFKA_PASSWORD": "p"}
    assert KafkaCluster.from_environment(given).connection()["security.protocol"] == "SASL_SSL"


def test_redis_s_arguments() -> None:
    assert RedisCache(host="r").connection() == {"host": "r", "port": 6379, "db": 0}
    given = {
        "REDIS_HOST": "r",
        "REDIS_PORT": "6380",
        "REDIS_USERNAME": "u",
        "REDIS_PASSWORD": SECRET,
        "REDIS_TLS": "1",
        "REDIS_CA_FILE": "/ca",
    }
    assert RedisCache.from_environment(given).connection() == {
        "host": "r",
        "port": 6380,
        "db": 0,
        "username": "u",
        "password": SECRET,
        "ssl": True,
        "ssl_ca_certs": "/ca",
    }


@pytest.mark.parametrize(
    "uri", ["mongodb://h", "mongodb+srv://u:p@h/?tls=true", "mongodb://a,b/?replicaSet=r"]
)
def test_any_mongodb_uri(uri: str) -> None:
    made = MongoArchive.from_environment({"MONGO_HOST": uri, "DB_NAME": ""})
    assert (made.uri.get_secret_value(), made.database) == (uri, "skalds")
    assert MongoArchive.from_environment({"MONGO_HOST": uri, "DB_NAME": "d"}).database == "d"


async def test_clients_are_the_libraries_own_and_connect_later() -> None:
    """Nothing answers at these addresses."""
    assert isinstance(KafkaCluster(bootstrap_servers="127.0.0.1:1").get_client({"log_level": 0}), Producer)
    cache = RedisCache(host="127.0.0.1", port=1, tls=True)
    assert isinstance(cache.get_client(), Redis)
    assert cache.get_client().connection_pool.connection_class is SSLConnection
    assert isinstance(cache.get_async_client(), AsyncRedis)
    archive = MongoArchive(uri=SecretStr("mongodb://127.0.0.1:1"), database="d")
    with archive.get_client() as client:
        assert isinstance(client, MongoClient)
    async with archive.get_async_client() as asynchronous:
        assert isinstance(asynchronous, AsyncMongoClient)
    assert archive.tasks().full_name == "d.tasks"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: type(block).__name__)
def test_secrets_stay_secret(block: Block) -> None:
    assert SECRET.strip() not in repr(block) + str(block) + block.model_dump_json()
    assert type(block)._logo_url and type(block)._description and type(block)._block_type_slug


@pytest.mark.parametrize(
    ("kind", "fields", "why"),
    [
        (KafkaCluster, {"bootstrap_servers": "k", "username": "u"}, "needs a password"),
        (KafkaCluster, {"bootstrap_servers": "k", "password": SECRET, "ca_file": "/ca"}, "set tls"),
        (KafkaCluster, {"bootstrap_servers": "", "password": SECRET}, "bootstrap_servers"),
        (RedisCache, {"host": "r", "username": "u"}, "needs a password"),
        (RedisCache, {"host": "r", "password": SECRET, "ca_file": "/ca"}, "set tls"),
        (RedisCache, {"host": "r", "password": SECRET, "port": 0}, "port"),
        (MongoArchive, {"uri": f"u:{SECRET}@m"}, "begins with mongodb://"),
    ],
)
def test_what_cannot_be_is_said_without_the_secret(
    kind: type[Block], fields: dict[str, object], why: str
) -> None:
    with pytest.raises(ValidationError, match=why) as caught:
        kind(**fields)
    assert SECRET.strip() not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "given", "name"),
    [
        (KafkaCluster, {}, "KAFKA_HOST"),
        (KafkaCluster, {"KAFKA_HOST": "k", "KAFKA_PORT": "70000"}, "KAFKA_PORT"),
        (KafkaCluster, {"KAFKA_HOST": "k", "KAFKA_TLS": "maybe"}, "KAFKA_TLS"),
        (RedisCache, {"REDIS_HOST": " "}, "REDIS_HOST"),
        (RedisCache, {"REDIS_HOST": "r", "REDIS_PORT": "²"}, "REDIS_PORT"),
        (MongoArchive, {}, "MONGO_HOST"),
    ],
)
def test_a_missing_variable_is_named(
    kind: type[KafkaCluster | RedisCache | MongoArchive], given: dict[str, str], name: str
) -> None:
    with pytest.raises(EnvironmentProblem, match=f"{name} .*Set it"):
        kind.from_environment(given)


def test_the_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", "from-outside")
    assert RedisCache.from_environment().host == "from-outside"


def test_no_client_library_is_loaded_before_its_client() -> None:
    code = "import sys, skald_blocks; print({'redis', 'pymongo', 'confluent_kafka'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
