"""The Prefect server goes away and comes back while a node works."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.node.harness import Bench, appears
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


def test_states_reached_while_the_server_is_away_are_not_lost(
    own_server: PrefectServer, tmp_path: Path
) -> None:
    bench = Bench(own_server, tmp_path / "bench")
    marks, later = bench.marks(), bench.marks()
    deployment, quick = bench.deploy("stepwise"), bench.deploy("quick")
    with bench.node():
        run = bench.run(deployment, marks)
        appears(marks / "steps")
        own_server.kill()
        (marks / "enough").touch()
        size = (marks / "steps").stat().st_size
        until(lambda: (marks / "steps").stat().st_size >= size, 5, "the task's last step")
        own_server.start()
        bench.reaches(run, "Completed", seconds=90)
        bench.reaches(bench.run(quick, later), "Completed", seconds=90)
