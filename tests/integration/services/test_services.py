"""The suite's own services: what every test over Kafka, Redis and MongoDB stands on."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import uuid
from functools import partial
from pathlib import Path
from typing import get_args

import pytest
import redis
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError, PyMongoError, ServerSelectionTimeoutError
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.services.kafka import Kafka, Listener
from tests.services.mongo import Mongo
from tests.services.poll import until
from tests.services.redis_server import RedisServer, running_redis
from tests.services.service import alive


def unique(word: str) -> str:
    return f"{word}-{uuid.uuid4().hex[:8]}"


def send(settings: dict[str, str], topic: str, values: list[bytes]) -> None:
    """All of them acknowledged."""
    problems: list[object] = []
    producer = Producer({**settings, "enable.idempotence": "true"})
    for value in values:
        producer.produce(topic, value, key=value, on_delivery=lambda error, _: problems.append(error))
    until(lambda: producer.flush(0.1) == 0, 30, f"{len(values)} messages acknowledged")
    assert problems == [None] * len(values)


def received(settings: dict[str, str], topic: str, count: int) -> list[bytes]:
    """The topic's messages from the first on, sorted."""
    consumer = Consumer({**settings, "group.id": unique("group"), "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found: list[bytes] = []

    def enough() -> bool:
        for message in consumer.consume(count, timeout=0.1):
            value = message.value()
            if message.error() is None and value is not None:
                found.append(value)
        return len(found) >= count

    try:
        until(enough, 30, f"{count} messages of {topic}")
    finally:
        consumer.close()
    return sorted(found)


# Its client calls a refused password again, with pauses.
ONCE = Retry(NoBackoff(), 0)
VALUES = [b"%03d" % number for number in range(200)]


@pytest.mark.parametrize("listener", get_args(Listener))
def test_kafka_hands_on_what_it_is_sent(kafka: Kafka, listener: Listener) -> None:
    topic, settings = unique("topic"), kafka.client(listener)
    send(settings, topic, VALUES)
    assert received(settings, topic, len(VALUES)) == VALUES


@pytest.mark.parametrize(
    "wrong",
    [
        {"sasl.password": "wrong"},
        {"sasl.username": "nobody"},
        {"security.protocol": "PLAINTEXT"},
    ],
    ids=["password", "user", "without SASL"],
)
def test_kafka_refuses_who_does_not_say_the_password(kafka: Kafka, wrong: dict[str, str]) -> None:
    admin = AdminClient({**kafka.client("SASL_PLAINTEXT"), **wrong, "log_level": 0})
    with pytest.raises(KafkaException):
        admin.list_topics(timeout=2)


def test_kafka_over_tls_is_trusted_by_its_certificate_only(kafka: Kafka) -> None:
    settings = kafka.client("SASL_SSL")
    assert kafka.ca.read_text().startswith("-----BEGIN CERTIFICATE-----")
    AdminClient({**settings}).list_topics(timeout=10)
    del settings["ssl.ca.location"]
    with pytest.raises(KafkaException):
        AdminClient({**settings, "log_level": 0}).list_topics(timeout=2)


def test_killed_kafka_comes_back_on_its_port_with_all_it_acknowledged(own_kafka: Kafka) -> None:
    address = own_kafka.bootstrap
    send(own_kafka.client(), "kept", VALUES[:100])
    own_kafka.kill()
    own_kafka.start()
    assert own_kafka.bootstrap == address
    send(own_kafka.client(), "kept", VALUES[100:])
    assert received(own_kafka.client(), "kept", len(VALUES)) == VALUES


def test_frozen_kafka_acknowledges_once_thawed(own_kafka: Kafka) -> None:
    send(own_kafka.client(), "cold", VALUES[:1])
    own_kafka.freeze()
    producer = Producer({**own_kafka.client(), "enable.idempotence": "true"})
    producer.produce("cold", VALUES[1])
    assert producer.flush(1) == 1
    own_kafka.thaw()
    until(lambda: producer.flush(0.1) == 0, 30, "the message acknowledged")
    assert received(own_kafka.client(), "cold", 2) == VALUES[:2]


def test_redis_lets_fields_of_a_hash_expire(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        name = unique("hash")
        client.hset(name, mapping={"beat": "1", "status": "Running"})
        assert client.hpexpire(name, 100, "beat") == [1]
        until(lambda: client.hgetall(name) == {"status": "Running"}, 10, "the field expired")


def test_old_redis_knows_no_hexpire(old_redis: RedisServer) -> None:
    with redis.Redis.from_url(old_redis.url) as client:
        assert client.info("server")["redis_version"].startswith("6.2.")
        name = unique("hash")
        client.hset(name, "beat", "1")
        with pytest.raises(redis.ResponseError, match="unknown command"):
            client.hexpire(name, 100, "beat")


@pytest.mark.parametrize("old", [False, True], ids=["Redis 8", "Redis 6.2"])
def test_redis_asks_for_passwords(tmp_path: Path, old: bool) -> None:
    with running_redis(tmp_path, old=old, password="sesame", users={"skald": "open"}) as server:
        for refused in ("", ":open@", "skald:sesame@"):
            with (
                redis.Redis.from_url(f"redis://{refused}127.0.0.1:{server.port}", retry=ONCE) as client,
                pytest.raises(redis.AuthenticationError),
            ):
                client.ping()
        with redis.Redis.from_url(server.url) as default:
            assert default.acl_whoami() in (b"default", "default")
        with redis.Redis(port=server.port, username="skald", password="open") as skald:
            assert skald.set("key", "value")


def test_killed_redis_comes_back_empty_and_a_kept_one_full(own_redis: RedisServer, tmp_path: Path) -> None:
    with running_redis(tmp_path / "kept", kept=True) as kept:
        for server, after in ((own_redis, None), (kept, b"value")):
            with redis.Redis.from_url(server.url) as client:
                client.set("key", "value")
            server.kill()
            server.start()
            with redis.Redis.from_url(server.url) as client:
                assert client.get("key") == after


def test_frozen_redis_holds_its_clients(own_redis: RedisServer) -> None:
    with redis.Redis(port=own_redis.port, socket_timeout=0.3, retry=ONCE) as client:
        assert client.ping()
        own_redis.freeze()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        own_redis.thaw()
        assert client.ping()


Document = dict[str, object]


def test_mongo_keeps_documents_and_what_is_unique(any_mongo: Mongo) -> None:
    with MongoClient[Document](any_mongo.uri, serverSelectionTimeoutMS=10_000) as client:
        name = unique("db")
        tasks = client[name]["tasks"]
        tasks.create_index("id", unique=True)
        tasks.insert_many([{"id": f"t{number}", "status": "Created", "n": number} for number in range(20)])
        with pytest.raises(DuplicateKeyError):
            tasks.insert_one({"id": "t3"})
        taken = tasks.find_one_and_update(
            {"status": "Created"}, {"$set": {"status": "Assigning"}}, sort=[("n", -1)]
        )
        assert taken is not None
        assert taken["id"] == "t19"
        assert tasks.count_documents({"status": "Created"}) == 19
        client.drop_database(name)


def test_killed_mongo_comes_back_with_all_it_acknowledged(own_mongo: Mongo) -> None:
    acknowledged: list[object] = []

    def write() -> None:
        with (
            MongoClient[Document](own_mongo.uri, retryWrites=False, serverSelectionTimeoutMS=500) as client,
            contextlib.suppress(PyMongoError),
        ):
            while True:
                acknowledged.append(client["db"]["kept"].insert_one({"_id": uuid.uuid4().hex}).inserted_id)

    def more_than(count: int) -> bool:
        return len(acknowledged) > count

    for count in (50, 100):
        writer = threading.Thread(target=write)
        writer.start()
        until(partial(more_than, count), 60, f"{count} documents acknowledged")
        own_mongo.kill()
        writer.join(60)
        own_mongo.start()
    with MongoClient[Document](own_mongo.uri) as client:
        stored = {document["_id"] for document in client["db"]["kept"].find()}
    assert set(acknowledged) <= stored


def test_frozen_mongo_is_not_found_until_it_is_thawed(own_mongo: Mongo) -> None:
    with MongoClient[Document](own_mongo.uri) as client:
        client["db"]["cold"].insert_one({"_id": 1})
    own_mongo.freeze()
    with (
        MongoClient[Document](own_mongo.uri, serverSelectionTimeoutMS=500) as client,
        pytest.raises(ServerSelectionTimeoutError),
    ):
        client["db"]["cold"].find_one()
    own_mongo.thaw()
    with MongoClient[Document](own_mongo.uri) as client:
        assert client["db"]["cold"].find_one() == {"_id": 1}


def test_a_service_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, tests.services.redis_server as r\n"
        "server = r.RedisServer(pathlib.Path(sys.argv[1])); server.start()\n"
        "print(server.pid, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
    until(lambda: not alive(pid), 10, "Redis ended")
