"""A node and the bridge with nothing to do leave the machine and the Prefect server alone."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.services.counting_proxy import CountingProxy, counting
from tests.services.fleet import fleet
from tests.services.poll import until
from tests.services.prefect_cli import running
from tests.services.prefect_server import PrefectServer, free_port

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(300)]

WINDOW = 40.0
"""Seconds of idleness that are measured."""


def test_an_idle_node_and_bridge_take_little_and_ask_seldom(
    own_server: PrefectServer, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    with counting(own_server.url) as counts:
        env = {
            "PREFECT_API_URL": counts.url,
            "SKALD_HOME": str(tmp_path / "skald"),
            "SYSTEM_CONTROLLER_PORT": str(free_port()),
        }
        bridge = [sys.executable, "-m", "skald_bridge.cli", "bridge"]
        with (
            fleet(own_server, folder, [{"name": "job", "entrypoint": "jobs.py:wait"}], node=None) as made,
            made.node("node-1", env=env) as node,
            running(own_server, bridge, tmp_path / "bridge.log", env=env) as process,
        ):
            made.reaches(made.run("wait/job"), "Completed")
            until(lambda: not counts.since(time.monotonic() - 4), 90, "quiet after the first run")

            began, before = time.monotonic(), seconds_used(node.pid) + seconds_used(process.pid)
            until(lambda: time.monotonic() - began > WINDOW, 2 * WINDOW, "the end of the window")
            used = seconds_used(node.pid) + seconds_used(process.pid) - before

            took = time.monotonic() - began
            asked = moments(counts, began)
            assert used < 0.02 * took, f"{100 * used / took:.1f} % of a core"
            assert len(asked) <= took / 10 + 1, asked
            assert process.poll() is None and node.poll() is None


def seconds_used(pid: int) -> float:
    """CPU seconds of a process and its living descendants."""
    root = psutil.Process(pid)
    return sum(sum(each.cpu_times()[:2]) for each in [root, *root.children(recursive=True)])


def moments(counts: CountingProxy, since: float) -> list[list[str]]:
    """The requests since then, those within two seconds of one another together: one look at the server."""
    looks: list[list[str]] = []
    last = 0.0
    for when, what in [each for each in counts.requests if each[0] >= since]:
        if not looks or when - last > 2:
            looks.append([])
        looks[-1].append(what)
        last = when
    return looks
