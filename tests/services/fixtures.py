"""Real services as fixtures. What several tests share, none may harm: they name topics, keys and databases uniquely."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.crowd import disperse
from tests.services.kafka import Kafka, running_kafka
from tests.services.mongo import KINDS, Kind, Mongo, running_mongo
from tests.services.redis_server import RedisServer, running_redis


@pytest.fixture(autouse=True)
def no_crowd_stays() -> Iterator[None]:
    """Thousands of runs on a shared server are one test's alone."""
    yield
    disperse()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """One broker per test process."""
    with running_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[Kafka]:
    """A broker for one test that ends or freezes it."""
    with running_kafka(tmp_path / "kafka") as broker:
        yield broker


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis per test process, without a password."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def old_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis 6.2 per test process: it knows no HEXPIRE."""
    with running_redis(tmp_path_factory.mktemp("old-redis"), old=True) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis for one test that ends or freezes it."""
    with running_redis(tmp_path / "redis") as server:
        yield server


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    """One SecantusDB per test process."""
    with running_mongo(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture(scope="session", params=KINDS)
def any_mongo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    """Each server of MongoDB's protocol in turn; a real one too where ``MONGO_URI`` names it."""
    kind: Kind = request.param
    with running_mongo(tmp_path_factory.mktemp(kind), kind) as server:
        yield server


@pytest.fixture
def own_mongo(tmp_path: Path) -> Iterator[Mongo]:
    """A SecantusDB for one test that ends or freezes it."""
    with running_mongo(tmp_path / "mongo") as server:
        yield server
