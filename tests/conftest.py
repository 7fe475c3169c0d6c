"""Fixtures every suite shares."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would every process that a test starts and interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

from tests.services.prefect_server import PrefectServer, running_server

LONGEST = Path(__file__).with_name("longest.txt").read_text().split()
"""Modules that take more than a minute, the longest first."""

pytest_plugins = ["tests.services.fixtures"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """One Prefect server per test process, for tests that don't harm it; name pools and deployments uniquely."""
    with running_server(tmp_path_factory.mktemp("prefect")) as running:
        yield running


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[PrefectServer]:
    """A Prefect server for one test that kills it."""
    with running_server(tmp_path / "prefect") as running:
        yield running


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest modules first and the quick units last, so that no worker is left with a long one at the end."""
    places = {name: place for place, name in enumerate(LONGEST)}
    for name in LONGEST:
        if not (config.rootpath / name).is_file():
            raise pytest.UsageError(f"tests/longest.txt: there is no {name}")

    def place(item: pytest.Item) -> tuple[bool, int]:
        module = item.nodeid.partition("::")[0]
        return module.startswith("tests/unit/"), places.get(module, len(places))

    items.sort(key=place)


def required(reason: str) -> None:
    """Skip on a laptop, fail in CI: a missing service must be seen there."""
    if os.environ.get("CI"):
        pytest.fail(f"missing in CI: {reason}")
    pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What a test failed of before it passed is worth reading: pytest-rerunfailures shows its name alone."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"failed, then run again: {report.nodeid}", sep="_")
        terminalreporter.write_line(report.longreprtext)
