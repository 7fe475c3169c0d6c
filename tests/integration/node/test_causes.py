"""A run that never got to its engine, or is given nothing: its state says why, on a node and on Prefect's worker."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.fleet import IMPATIENT, Fleet, fleet
from tests.services.poll import until
from tests.services.prefect_cli import running
from tests.services.prefect_server import running_server

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]
FLOWS = """
import os
import sys

from prefect import flow
from pydantic import Field

from skald_bridge.authoring import Attachments, task_type


class Whole(Attachments):
    labels: list[str] = Field(default_factory=lambda: ["family"])
    out_file: str = {out!r}


class Asks(Attachments):
    source: str


@task_type(name="whole")
def whole(attachments: Whole) -> None:
    with open(attachments.out_file, "a") as out:
        out.write(",".join(attachments.labels) + "\\n")
    attachments.labels.append("changed")


@task_type(name="asks")
def asks(attachments: Asks) -> None: ...


@flow(name="bare")
def bare(source: str) -> None: ...


@flow(name="leaves")
def leaves() -> None:
    print("the camera is on fire", file=sys.stderr, flush=True)
    os._exit(3)


@flow(name="lost")
def lost() -> None: ...
"""
STOCK = "stock"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("project")
    out = str(folder / "out")
    with (
        running_server(tmp_path_factory.mktemp("prefect"), IMPATIENT) as server,
        fleet(server, folder, [{"name": "job", "entrypoint": "jobs.py:wait"}], node=()) as made,
    ):
        (folder / "given.py").write_text(FLOWS.replace("{out!r}", repr(out)))
        made.prepare("work-pool", "create", STOCK, "--type", "process")
        pull = [{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}]
        gone = [{"prefect.deployments.steps.set_working_directory": {"directory": "/srv/no/such/folder"}}]
        entries: list[dict[str, Any]] = [
            {"name": pool, "entrypoint": f"given.py:{name}", "work_pool": {"name": pool}}
            for pool in (made.pool, STOCK)
            for name in ("whole", "asks")
        ]
        ours = {"name": made.pool, "work_pool": {"name": made.pool}}
        entries += [{**ours, "entrypoint": f"given.py:{name}"} for name in ("bare", "leaves")]
        entries += [
            {**ours, "entrypoint": "given.py:lost", "pull": gone},
            {
                **ours,
                "name": "ignored",
                "entrypoint": "given.py:whole",
                "work_pool": {"name": made.pool, "job_variables": {"needs": {"cpus": 1}}},
            },
        ]
        (folder / "prefect.yaml").write_text(json.dumps({"pull": pull, "deployments": entries}))
        made.prepare("deploy", "--all")
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", STOCK, "--type", "process"]
        with running(server, command, folder / "stock.log", env={"PREFECT_WORKER_QUERY_SECONDS": "0.5"}):
            yield made


def scheduled(made: Fleet, deployment: str) -> dict[str, Any]:
    """The first run that a schedule of it made, and the run's end."""
    made.prepare("deployment", "schedule", "create", deployment, "--interval", "3")
    try:
        until(lambda: begun(made, deployment), 60, f"a scheduled run of {deployment}: {made.tails()}")
    finally:
        made.prepare("deployment", "schedule", "clear", deployment, "--accept-yes")
    until(lambda: ended(made, deployment), 60, f"the end of a run of {deployment}: {made.tails()}")
    return ended(made, deployment)[0]


def begun(made: Fleet, deployment: str) -> list[dict[str, Any]]:
    """Runs of a schedule that somebody has taken: they stay when the schedule goes."""
    return [
        run for run in made.runs(deployment) if run["auto_scheduled"] and run["state"]["type"] != "SCHEDULED"
    ]


def ended(made: Fleet, deployment: str) -> list[dict[str, Any]]:
    over = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    return [run for run in made.runs(deployment) if run["auto_scheduled"] and run["state"]["type"] in over]


@pytest.mark.parametrize("stock", [False, True])
def test_a_scheduled_run_gets_the_defaults(made: Fleet, stock: bool) -> None:
    pool = STOCK if stock else made.pool
    run = scheduled(made, f"whole/{pool}")
    assert run["state"]["type"] == "COMPLETED", run["state"]
    assert set(Path(made.folder / "out").read_text().splitlines()) == {"family"}


@pytest.mark.parametrize("stock", [False, True])
def test_a_scheduled_run_without_a_required_field_fails_and_names_it(made: Fleet, stock: bool) -> None:
    run = scheduled(made, f"asks/{STOCK if stock else made.pool}")
    assert run["state"]["type"] == "FAILED", run["state"]
    assert "attachments.source: Field required" in run["state"]["message"]


def test_prefects_own_command_without_parameters(made: Fleet) -> None:
    # Not --watch: it waits for ever for a run that has ended before it listens.
    said = made.cli("deployment", "run", f"whole/{made.pool}")
    run = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", said)
    assert run is not None, said
    made.reaches(run[0], "Completed")


def test_what_ends_a_process_before_its_engine_is_in_the_state(made: Fleet) -> None:
    run = made.api(
        "POST",
        f"/deployments/{made.deployment(f'bare/{made.pool}')['id']}/create_flow_run",
        {"state": {"type": "SCHEDULED"}, "enforce_parameter_schema": False},
    )["id"]
    message = made.reaches(run, "Crashed")["state"]["message"]
    assert "exited with code 1: ParameterBindError" in message and "'source'" in message


def test_the_last_words_of_a_process_that_left_are_in_the_state(made: Fleet) -> None:
    message = made.reaches(made.run(f"leaves/{made.pool}"), "Crashed")["state"]["message"]
    assert message.endswith("exited with code 3: its last line of error output is 'the camera is on fire'.")


def test_a_folder_that_is_not_on_the_node_is_named_with_the_node(made: Fleet) -> None:
    message = made.reaches(made.run(f"lost/{made.pool}"), "Crashed")["state"]["message"]
    for word in ("Node node-1", "/srv/no/such/folder", "git", "package"):
        assert word in message


def test_code_that_cannot_be_imported_is_named(made: Fleet) -> None:
    file = made.folder / "broken.py"
    file.write_text("from prefect import flow\n\n@flow(name='broken')\ndef broken() -> None: ...\n")
    made.prepare("deploy", "broken.py:broken", "--name", "it", "--pool", made.pool)
    file.write_text("import nowhere_at_all\n")
    message = made.reaches(made.run("broken/it"), "Crashed")["state"]["message"]
    assert "the flow could not be loaded" in message and "nowhere_at_all" in message


def test_a_job_variable_that_is_dropped_is_told_in_the_runs_log(made: Fleet) -> None:
    run = made.run("whole/ignored")
    made.reaches(run, "Completed")
    until(lambda: "job variable 'needs' is ignored" in made.logs(run), 30, "the warning")
