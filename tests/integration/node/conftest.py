"""A bench per test module, with one node that its tests share, and one for a single test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.node.harness import Bench, Node
from tests.services.prefect_server import PrefectServer


@pytest.fixture(scope="module")
def bench(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(server, tmp_path_factory.mktemp("bench"))


@pytest.fixture
def lonely(server: PrefectServer, tmp_path: Path) -> Bench:
    """A bench of one test, whose nodes have its pool for themselves."""
    return Bench(server, tmp_path / "bench")


@pytest.fixture(scope="module")
def node(bench: Bench) -> Iterator[Node]:
    with bench.node(SKALD_CANCEL_GRACE="3", SKALD_GRACE="1") as node:
        yield node


@pytest.fixture
def marks(bench: Bench) -> Path:
    return bench.marks()
