"""One server, one node and one browser for the browser tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.services import browser
from tests.services.fleet import IMPATIENT, Fleet, fleet
from tests.services.prefect_server import PrefectServer, running_server

DEPLOYMENTS = [
    {"name": "form", "entrypoint": "jobs.py:cut", "description": "Cuts a film."},
    {"name": "job", "entrypoint": "jobs.py:wait"},
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser may lose its page on a busy machine; of everything else, a test that fails once has failed."""
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))


@pytest.fixture(scope="session")
def ui_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with running_server(tmp_path_factory.mktemp("prefect"), IMPATIENT) as server:
        yield server


@pytest.fixture(scope="module")
def made(ui_server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    browser.chromium()
    with fleet(ui_server, tmp_path_factory.mktemp("project"), DEPLOYMENTS) as made:
        yield made


@pytest.fixture
def page(made: Fleet, tmp_path: Path) -> Iterator[Page]:
    """A fresh browser; what it showed last is in ``last.png`` of the test's folder."""
    with browser.page(made.server.url.removesuffix("/api")) as page:
        yield page
        browser.screenshot(page, tmp_path / "last.png")
