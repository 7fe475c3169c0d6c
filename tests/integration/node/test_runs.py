"""Flows of every kind complete on a node, as they do on a stock worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.node.harness import Bench, Node, appears
from tests.services.poll import until

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("node")]
ORDINARY = ["Scheduled", "Pending", "Running", "Completed"]


@pytest.mark.parametrize("flow", ["quick", "quick_async", "counted", "counted_async"])
def test_a_flow_of_each_kind_completes(bench: Bench, marks: Path, flow: str) -> None:
    run = bench.run(bench.deploy(flow), marks)
    bench.reaches(run, "Completed")
    assert (marks / flow).exists()
    assert bench.names(run) == ORDINARY


def test_what_a_claim_leaves_on_the_run(bench: Bench, node: Node, marks: Path) -> None:
    run = bench.run(bench.deploy("quick"), marks)
    bench.reaches(run, "Completed")
    pending = next(state for state in bench.states(run) if state["type"] == "PENDING")
    assert pending["message"] == f"Taken by node {node.name}"
    bench.says(run, f"node {node.name}: started as process")
    labels = until(
        lambda: bench.read(run)["labels"].get("skald.node") and bench.read(run)["labels"], 10, "labels"
    )
    assert labels["skald.node"] == labels["prefect.worker.name"] == node.name
    assert labels["skald.pool"] == bench.pool
    assert run in appears(marks / "quick")


def test_its_output_and_logs_and_subtasks_are_in_prefect_once(bench: Bench, marks: Path) -> None:
    run = bench.run(bench.deploy("talkative"), marks)
    bench.reaches(run, "Completed")
    log = bench.says(run, "Finished in state Completed()")
    for said in ("said through prefect", "said on stdout", "said on stderr", "said by a subprocess"):
        bench.says(run, said)
        assert bench.logs(run).count(said) == 1, log
    subtasks = {"flow_runs": {"id": {"any_": [run]}}}
    until(
        lambda: (
            [each["state_type"] for each in bench.api("POST", "/task_runs/filter", subtasks)]
            == ["COMPLETED"] * 3
        ),
        20,
        "three completed subtasks",
    )


def test_a_failing_flow_is_retried_in_its_process(bench: Bench, marks: Path) -> None:
    run = bench.run(bench.deploy("fragile"), marks)
    bench.reaches(run, "Completed")
    assert bench.names(run) == ["Scheduled", "Pending", "Running", "AwaitingRetry", "Running", "Completed"]
    assert len(set((marks / "attempts").read_text().split())) == 1


def test_a_flow_that_cannot_be_forked_is_imported_by_each_process(bench: Bench, marks: Path) -> None:
    run = bench.run(bench.deploy("broken.py:eager"), marks)
    bench.reaches(run, "Completed", seconds=90)
    assert (marks / "eager").exists()
    assert "(imported)" in bench.says(run, "started as process")
    assert "start imported: its import starts threads (eager)" in bench.tails()


@pytest.mark.parametrize("start", ["forked", "imported", "late", "cold"])
def test_a_deployment_says_how_its_runs_start(bench: Bench, marks: Path, start: str) -> None:
    run = bench.run(bench.deploy("quick", job_variables={"start": start}), marks)
    bench.reaches(run, "Completed", seconds=90)
    assert f"({start})" in bench.says(run, "started as process")


def test_code_that_kills_its_process_is_not_tried_for_ever(bench: Bench, marks: Path) -> None:
    policy = {"retries": 1, "retry_delay": 0}
    run = bench.run(bench.deploy("fatal.py:never"), marks, empirical_policy=policy)
    until(lambda: bench.names(run).count("Crashed") == 2, 90, "a second crash")
    bench.reaches(bench.run(bench.deploy("quick"), marks), "Completed")
    attempt = ["Pending", "Crashed"]
    assert bench.names(run) == ["Scheduled", *attempt, "AwaitingRetry", *attempt]
    assert "exited with code 7" in bench.read(run)["state"]["message"]


def test_a_run_with_an_environment_of_its_own_imports_its_code_in_it(bench: Bench, marks: Path) -> None:
    run = bench.run(bench.deploy("quick"), marks, job_variables={"env": {"CUDA_VISIBLE_DEVICES": "mine"}})
    bench.reaches(run, "Completed", seconds=90)
    assert appears(marks / "quick").split()[1] == "mine"
    assert "(late)" in bench.says(run, "started as process")


def test_a_run_whose_environment_is_read_as_an_interpreter_starts_gets_a_new_one(
    bench: Bench, marks: Path
) -> None:
    run = bench.run(bench.deploy("quick"), marks, job_variables={"env": {"PYTHONHASHSEED": "7"}})
    bench.reaches(run, "Completed", seconds=90)
    assert "variables of its own (PYTHONHASHSEED)" in bench.says(run, "a new interpreter is used")


def test_environment_of_a_deployment_is_there_when_the_flow_is_loaded(bench: Bench, marks: Path) -> None:
    deployment = bench.deploy("quick", job_variables={"env": {"CUDA_VISIBLE_DEVICES": "theirs"}})
    run = bench.run(deployment, marks)
    bench.reaches(run, "Completed")
    assert appears(marks / "quick").split()[1] == "theirs"
    assert "(forked)" in bench.says(run, "started as process")


def test_a_flow_that_cannot_be_loaded_says_why(bench: Bench) -> None:
    run = bench.run(bench.deploy("tasks.py:missing"))
    found = bench.reaches(run, "Crashed", "Failed", seconds=90)
    assert "missing" in bench.says(run, "could not be loaded")
    assert found["state"]["type"] == "CRASHED"


def test_changed_code_is_what_the_next_run_executes(bench: Bench, marks: Path) -> None:
    deployment = bench.deploy("quick")
    bench.reaches(bench.run(deployment, marks), "Completed")
    assert appears(marks / "quick").split()[0] == "1"
    (bench.project / "constants.py").write_text('VERSION = "2.0"\n')
    bench.reaches(bench.run(deployment, marks), "Completed")
    assert appears(marks / "quick").split()[0] == "2.0"
