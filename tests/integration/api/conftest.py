"""One server, one node and one bridge with REST for the tests of a module."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.fleet import Fleet, fleet
from tests.services.prefect_server import running_server
from tests.services.rest import Rest, running_rest

PROBE = Path(__file__).parents[1] / "bridge" / "project" / "probe.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The server is the module's own: what it holds is counted."""
    folder = tmp_path_factory.mktemp("fleet")
    shutil.copy(PROBE, folder / "probe.py")
    deployments = [{"name": "probe", "entrypoint": "probe.py:probe"}]
    with (
        running_server(tmp_path_factory.mktemp("prefect")) as server,
        fleet(server, folder, deployments) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def rest(made: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    with running_rest(made.server, tmp_path_factory.mktemp("home")) as rest:
        yield rest
