from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from skald_bridge.ports import Archive, Cursor, Journal, Pulse
from tests.contract.stores import ARCHIVES, CURSORS, JOURNALS, PULSES


@pytest.fixture(params=JOURNALS)
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    async with JOURNALS[request.param](tmp_path) as journal:
        yield journal


@pytest.fixture(params=ARCHIVES)
async def archive(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Archive]:
    async with ARCHIVES[request.param](tmp_path) as archive:
        yield archive


@pytest.fixture(params=CURSORS)
async def cursor(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Cursor]:
    async with CURSORS[request.param](tmp_path) as cursor:
        yield cursor


@pytest.fixture(params=PULSES)
async def pulse(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pulse]:
    async with PULSES[request.param](tmp_path) as pulse:
        yield pulse
