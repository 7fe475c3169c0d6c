"""How runs end: cancelled, killed, paused and resumed, suspended, retried, handed back."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.integration.node.harness import Bench, Node, appears, gone
from tests.services.poll import until

pytestmark = [pytest.mark.server, pytest.mark.oldest, pytest.mark.usefixtures("node")]
CANCELLING = {"type": "CANCELLING", "name": "Cancelling"}


def started(bench: Bench, marks: Path, flow: str, **parameters: object) -> tuple[str, int]:
    """A run whose user code runs, and its process."""
    body = {"parameters": {"folder": str(marks), **parameters}}
    run = bench.run(bench.deploy(flow), **body)
    bench.reaches(run, "Running")
    return run, int(appears(marks / "started"))


@pytest.mark.parametrize("flow", ["patient", "patient_async"])
def test_cancel_runs_release_code_and_ends_the_group(bench: Bench, marks: Path, flow: str) -> None:
    run, pid = started(bench, marks, flow)
    bench.propose(run, **CANCELLING)
    bench.reaches(run, "Cancelled")
    gone(pid)
    assert (marks / "released").exists()
    if flow == "patient":
        gone(appears(marks / "helper"))
        assert appears(marks / "on_cancellation") == "Cancelling"
    assert bench.names(run) == ["Scheduled", "Pending", "Running", "Cancelling", "Cancelled"]


@pytest.mark.slow
def test_a_late_request_does_not_bring_a_cancelled_task_back(bench: Bench, marks: Path) -> None:
    """A busy server may carry out a process's last request after the process has ended."""
    run, pid = started(bench, marks, "patient")
    bench.propose(run, **CANCELLING)
    bench.reaches(run, "Cancelled")
    gone(pid)
    bench.propose(run, type="RUNNING", name="Running", force=True)
    assert bench.names(run)[-1] == "Running"
    bench.reaches(run, "Cancelled", seconds=60)


def test_a_task_that_ignores_sigterm_is_killed(bench: Bench, marks: Path) -> None:
    run, pid = started(bench, marks, "stubborn")
    bench.propose(run, **CANCELLING)
    found = bench.reaches(run, "Cancelled")
    assert "did not end in time and was killed" in found["state"]["message"]
    gone(pid)
    assert appears(marks / "on_cancellation") == "Cancelling", "as on Prefect's own worker"


def test_a_killed_process_is_a_crash_that_names_the_signal(bench: Bench, node: Node, marks: Path) -> None:
    run, pid = started(bench, marks, "patient")
    os.kill(pid, signal.SIGKILL)
    found = bench.reaches(run, "Crashed")
    assert (
        found["state"]["message"] == f"The task's process on node {node.name} was killed by signal SIGKILL."
    )
    gone(appears(marks / "helper"))
    assert appears(marks / "on_crashed") == "Crashed"
    assert not (marks / "released").exists()


def test_a_crash_is_retried_where_the_retries_allow_it(bench: Bench, marks: Path) -> None:
    run = bench.run(bench.deploy("mortal"), marks)
    bench.reaches(run, "Completed")
    names = ["Scheduled", "Pending", "Running", "Crashed", "AwaitingRetry", "Pending", "Running", "Completed"]
    assert bench.names(run) == names
    assert len(set((marks / "attempts").read_text().split())) == 2


def test_pause_freezes_the_group_and_resume_thaws_it(bench: Bench, marks: Path) -> None:
    run, pid = started(bench, marks, "patient")
    details = {"pause_timeout": "2100-01-01T00:00:00Z", "pause_reschedule": False}
    bench.propose(run, type="PAUSED", name="Paused", state_details=details, force=True)
    process, helper = psutil.Process(pid), psutil.Process(int(appears(marks / "helper")))
    until(lambda: process.status() == psutil.STATUS_STOPPED, 20, "frozen")
    until(lambda: helper.status() == psutil.STATUS_STOPPED, 20, "its helper frozen")
    ticked = (marks / "tick").read_text()
    bench.api("POST", f"/flow_runs/{run}/resume", {})
    until(lambda: (marks / "tick").read_text() != ticked, 20, "thawed")
    assert helper.status() != psutil.STATUS_STOPPED
    bench.propose(run, **CANCELLING)
    bench.reaches(run, "Cancelled")


def test_a_frozen_task_can_be_cancelled(bench: Bench, marks: Path) -> None:
    run, pid = started(bench, marks, "patient")
    details = {"pause_timeout": "2100-01-01T00:00:00Z", "pause_reschedule": False}
    bench.propose(run, type="PAUSED", name="Paused", state_details=details, force=True)
    until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, 20, "frozen")
    bench.propose(run, **CANCELLING)
    bench.reaches(run, "Cancelled")
    assert (marks / "released").exists()


def test_suspend_ends_the_process_at_a_task_boundary_and_resume_starts_it_again(
    bench: Bench, marks: Path
) -> None:
    run, pid = started(bench, marks, "stepwise")
    appears(marks / "steps")
    details = {"pause_timeout": "2100-01-01T00:00:00Z", "pause_reschedule": True}
    bench.propose(run, type="PAUSED", name="Suspended", state_details=details, force=True)
    gone(pid)
    assert bench.read(run)["state"]["name"] == "Suspended"
    (marks / "started").unlink()
    bench.api("POST", f"/flow_runs/{run}/resume", {})
    assert int(appears(marks / "started")) != pid
    (marks / "enough").touch()
    bench.reaches(run, "Completed")


def test_a_run_that_was_set_failed_by_somebody_loses_its_process(bench: Bench, marks: Path) -> None:
    run, pid = started(bench, marks, "patient")
    bench.propose(run, type="FAILED", name="Failed", message="by hand", force=True)
    gone(pid, 40)
    assert bench.read(run)["state"]["message"] == "by hand"
    bench.says(run, "set by somebody else")


def test_a_queued_run_with_a_stale_process_id_is_cancelled(bench: Bench, marks: Path) -> None:
    """Prefect leaves it Cancelling for its infrastructure, and there is none."""
    run = bench.run(bench.deploy("quick"), marks, state={"type": "SCHEDULED", "state_details": _in_an_hour()})
    bench.api("PATCH", f"/flow_runs/{run}", {"infrastructure_pid": "4194304"})
    bench.propose(run, **CANCELLING)
    bench.reaches(run, "Cancelled")


def test_what_a_run_starts_in_other_sessions_ends_with_it(bench: Bench, marks: Path) -> None:
    run, _ = started(bench, marks, "patient", own_session=True)
    bench.propose(run, **CANCELLING)
    bench.reaches(run, "Cancelled")
    gone(appears(marks / "helper"))


def _in_an_hour() -> dict[str, str]:
    from datetime import UTC, datetime, timedelta

    return {"scheduled_time": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
