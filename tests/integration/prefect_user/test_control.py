"""Cancelling and trying again as Prefect's command line and UI do it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.fleet import Fleet, fleet
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def made(impatient_server: PrefectServer, folder: Path) -> Iterator[Fleet]:
    with fleet(impatient_server, folder, [{"name": "job", "entrypoint": "jobs.py:wait"}]) as made:
        yield made


def test_flow_run_cancel_ends_the_run(made: Fleet, tmp_path: Path) -> None:
    log = tmp_path / "log"
    run = made.run("wait/job", {"until": str(tmp_path / "never"), "log": str(log)})
    until(log.exists, 30, "user code runs")
    made.cli("flow-run", "cancel", run)
    found = made.reaches(run, "Cancelled")
    assert found["state"]["type"] == "CANCELLED"
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["start"]


def test_a_run_cancelled_before_it_starts_never_does(made: Fleet, tmp_path: Path) -> None:
    log = tmp_path / "log"
    run = made.run("wait/job", {"log": str(log)}, job_variables={"gpus": 9})
    made.cli("flow-run", "cancel", run)
    made.reaches(run, "Cancelled")
    assert not log.exists()


def test_a_failed_run_tried_again_from_the_ui_completes(made: Fleet, tmp_path: Path) -> None:
    log = tmp_path / "log"
    run = made.run("wait/job", {"fail_first": True, "log": str(log)})
    made.reaches(run, "Failed")
    made.api(
        "POST",
        f"/flow_runs/{run}/set_state",
        {
            "state": {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Retry from the UI"},
            "force": True,
        },
    )
    assert made.reaches(run, "Completed")["run_count"] == 2
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["start", "start", "end"]


def test_flow_run_retry_does_the_same(made: Fleet) -> None:
    run = made.run("wait/job", {"fail_first": True})
    made.reaches(run, "Failed")
    made.cli("flow-run", "retry", run)
    assert made.reaches(run, "Completed")["run_count"] == 2


def test_flow_run_logs_show_the_node_and_the_flow(made: Fleet) -> None:
    run = made.run("wait/job")
    made.reaches(run, "Completed")
    until(lambda: "node-1" in made.logs(run), 20, "the node's lines in the run's log")
    assert "Finished in state Completed" in made.cli("flow-run", "logs", run)
