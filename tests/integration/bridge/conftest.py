from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import PrefectClient

from skald_bridge.adapters.prefect import PrefectEngine
from tests.services.bridged import Services, bridged
from tests.services.crowd import remove_runs
from tests.services.kafka import Kafka
from tests.services.mongo import Mongo
from tests.services.prefect_server import PrefectServer
from tests.services.redis_server import RedisServer
from tests.services.runs import Deployed, client_of, deploy, talking_to


@pytest.fixture
async def client(server: PrefectServer) -> AsyncIterator[PrefectClient]:
    async with client_of(server.url) as client:
        yield client


@pytest.fixture
async def engine(server: PrefectServer) -> AsyncIterator[PrefectEngine]:
    with talking_to(server.url):
        async with PrefectEngine() as engine:
            yield engine


@pytest.fixture
async def deployed(server: PrefectServer, client: PrefectClient) -> AsyncIterator[Deployed]:
    """Its runs go with it: a bridge looks at every run of its server, those of earlier tests too."""
    made = await deploy(client)
    yield made
    remove_runs(server, str(made.deployment))


@pytest.fixture
def services(
    server: PrefectServer, own_kafka: Kafka, own_redis: RedisServer, own_mongo: Mongo, tmp_path: Path
) -> Iterator[Services]:
    journal = tmp_path / "journal.db"
    with bridged(own_kafka, own_redis, own_mongo, journal, server.client_env) as services:
        yield services
