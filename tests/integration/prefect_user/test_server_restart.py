"""A Prefect server that dies and comes back: nobody has to touch the node."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.fleet import fleet
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer

pytestmark = [pytest.mark.server, pytest.mark.slow]


def test_runs_before_during_and_after_a_server_restart_complete(
    own_server: PrefectServer, tmp_path: Path
) -> None:
    folder, gate, log = tmp_path / "project", tmp_path / "gate", tmp_path / "log"
    folder.mkdir()
    with fleet(own_server, folder, [{"name": "job", "entrypoint": "jobs.py:wait"}]) as made:
        running = made.run("wait/job", {"until": str(gate), "log": str(log)})
        made.reaches(running, "Running")
        until(log.exists, 30, "user code runs")

        own_server.kill()
        gate.touch()
        until(lambda: log.read_text().count("\n") == 2, 30, "user code ends while the server is away")
        own_server.start()

        made.reaches(running, "Completed", seconds=90)
        made.reaches(made.run("wait/job"), "Completed", seconds=90)
        assert made.nodes["node-1"].poll() is None
        assert log.read_text().count("start") == 1
