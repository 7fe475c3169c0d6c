from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.prefect_server import PrefectServer
from tests.services.skalds_peer.house import House
from tests.services.skalds_peer.world import World, running_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Kafka, Redis and MongoDB of a module's own: a controller takes every document that it finds."""
    with running_world(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture(scope="module")
def house(world: World, server: PrefectServer) -> House:
    """Deployments of ``Camera`` and ``HouseCamera``, without a node."""
    return House(world, server)
