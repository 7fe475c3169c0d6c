"""Blocks in a real Prefect server: registered by its command line, saved, loaded."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest
from prefect.blocks.core import Block
from pydantic import SecretStr

from skald_blocks import KafkaCluster, MongoArchive, RedisCache
from tests.services.prefect_cli import prefect
from tests.services.prefect_server import PrefectServer
from tests.services.runs import client_of

SECRET = "hunter2"
BLOCKS: list[KafkaCluster | RedisCache | MongoArchive] = [
    KafkaCluster(bootstrap_servers="k:9092", username="u", password=SecretStr(SECRET), tls=True),
    RedisCache(host="r", username="u", password=SecretStr(SECRET)),
    MongoArchive(uri=SecretStr(f"mongodb://u:{SECRET}@m")),
]


@pytest.mark.server
def test_prefect_registers_them_all(server: PrefectServer) -> None:
    prefect(server, "block", "register", "-m", "skald_blocks")
    for slug in ("kafka-cluster", "media-store", "mongo-archive", "redis-cache"):
        found = httpx.get(f"{server.url}/block_types/slug/{slug}").raise_for_status().json()
        assert found["logo_url"] and found["description"] and found["code_example"]


@pytest.mark.server
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: type(block).__name__)
async def test_a_saved_block_comes_back_and_shows_no_secret(server: PrefectServer, block: Block) -> None:
    name = f"b{uuid4().hex}"
    async with client_of(server.url):
        saved = await block.asave(name)
        assert await type(block).aload(name) == block
    shown = httpx.get(f"{server.url}/block_documents/{saved}").raise_for_status().text
    assert SECRET not in shown and "***" in shown
