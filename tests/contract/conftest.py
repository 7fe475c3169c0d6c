from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from skald_bridge.ports import Archive, Cursor, Journal, Pulse
from tests.contract.stores import ARCHIVES, CURSORS, JOURNALS, PULSES, PulseUnderTest
from tests.services.mongo import Mongo, running_mongo


@pytest.fixture(scope="session")
def java_mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    """One mongo-java-server per test process."""
    with running_mongo(tmp_path_factory.mktemp("java"), "java") as server:
        yield server


@pytest.fixture(params=JOURNALS)
async def journal(request: pytest.FixtureRequest) -> AsyncIterator[Journal]:
    async with JOURNALS[request.param](request) as journal:
        yield journal


@pytest.fixture(params=ARCHIVES)
async def archive(request: pytest.FixtureRequest) -> AsyncIterator[Archive]:
    async with ARCHIVES[request.param](request) as archive:
        yield archive


@pytest.fixture(params=CURSORS)
async def cursor(request: pytest.FixtureRequest) -> AsyncIterator[Cursor]:
    async with CURSORS[request.param](request) as cursor:
        yield cursor


@pytest.fixture(params=PULSES)
async def tested(request: pytest.FixtureRequest) -> AsyncIterator[PulseUnderTest]:
    """A pulse with the means to ask how long something lives."""
    async with PULSES[request.param](request) as tested:
        yield tested


@pytest.fixture
def pulse(tested: PulseUnderTest) -> Pulse:
    return tested.pulse
