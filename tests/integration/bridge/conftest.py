from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from prefect.client.orchestration import PrefectClient

from skald_bridge.adapters.prefect import PrefectEngine
from tests.services.prefect_server import PrefectServer
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
async def deployed(client: PrefectClient) -> Deployed:
    return await deploy(client)
