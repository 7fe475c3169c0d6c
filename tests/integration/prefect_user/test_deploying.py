"""``prefect deploy --all`` and ``prefect deployment run`` against a ``skald`` pool."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.fleet import Fleet, fleet
from tests.services.poll import until
from tests.services.prefect_cli import running
from tests.services.prefect_server import PrefectServer

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def made(impatient_server: PrefectServer, folder: Path) -> Iterator[Fleet]:
    deployments = [
        {"name": "plain", "entrypoint": "jobs.py:cut"},
        {"name": "watched", "entrypoint": "jobs.py:wait"},
        {
            "name": "tuned",
            "entrypoint": "jobs.py:cut",
            "description": "Cuts for the archive.",
            "tags": ["archive"],
            "parameters": {"attachments": {"title": "Archive", "segmentSeconds": 60}},
            "work_pool": {
                "work_queue_name": "night",
                "job_variables": {"cpus": 0.25, "env": {"MOOD": "calm"}},
            },
        },
    ]
    with fleet(impatient_server, folder, deployments) as made:
        yield made


def test_deploy_writes_what_prefect_yaml_says(made: Fleet) -> None:
    tuned = made.deployment("cut/tuned")
    assert (tuned["work_pool_name"], tuned["work_queue_name"]) == (made.pool, "night")
    assert tuned["job_variables"] == {"cpus": 0.25, "env": {"MOOD": "calm"}}
    assert tuned["tags"] == ["archive"]
    model = tuned["parameter_openapi_schema"]["definitions"]["Cut"]
    assert model["properties"]["segmentSeconds"]["description"] == "Length of a segment in seconds."


def test_deploying_again_changes_nothing(made: Fleet) -> None:
    before = made.deployment("cut/tuned")["id"]
    made.cli("deploy", "--all")
    assert made.deployment("cut/tuned")["id"] == before


def test_deployment_run_with_watch_follows_a_run_to_its_end(made: Fleet, tmp_path: Path) -> None:
    # The run waits for its watcher, which would wait for ever for one that has ended before it listens.
    enough, log = tmp_path / "enough", tmp_path / "watch.log"
    attachments = json.dumps({"until": str(enough)})
    words = ["deployment", "run", "wait/watched", "--param", f"attachments={attachments}", "--watch"]
    command = [sys.executable, "-m", "prefect", "--no-prompt", *words]
    with running(made.server, command, log, {"COLUMNS": "300", "PYTHONUNBUFFERED": "1"}) as watching:
        until(lambda: "flow-run.Running" in log.read_text(), 90, f"the watcher sees it run: {log}")
        enough.touch()
        assert watching.wait(90) == 0, log.read_text()
    run = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", log.read_text())
    assert run is not None, log.read_text()
    assert made.state(run[0]) == "Completed"


def test_defaults_of_the_deployment_and_its_queue_are_used(made: Fleet) -> None:
    run = made.run("cut/tuned")
    made.reaches(run, "Completed")
    names = [state["name"] for state in made.states(run)]
    assert names[0] == "Scheduled" and names[-2:] == ["Running", "Completed"]


def test_the_subtasks_and_the_artifact_are_prefects(made: Fleet) -> None:
    run = made.run("cut/plain", {"title": "Report"})
    made.reaches(run, "Completed")

    def subtasks() -> bool:
        found = made.api("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        return len(found) == 5 and all(each["state"]["name"] == "Completed" for each in found)

    until(subtasks, 30, "five completed subtasks")
    artifacts = made.api("POST", "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
    assert any(artifact["key"] == "cut-report" and "Report" in artifact["data"] for artifact in artifacts)


def test_needs_too_large_leave_the_run_scheduled_and_say_why(made: Fleet) -> None:
    run = made.run("cut/plain", {}, job_variables={"gpus": 9})
    until(lambda: "needs 9 gpus, has none" in made.logs(run), 30, "the refusal in the run's log")
    assert made.state(run) == "Scheduled"
    assert made.logs(run).count("needs 9 gpus") == 1


def test_a_job_variable_of_the_wrong_type_is_refused_by_name(made: Fleet) -> None:
    with pytest.raises(AssertionError, match="cpus"):
        made.run("cut/plain", {}, job_variables={"cpus": "many"})


def test_attachments_of_the_wrong_type_are_refused_by_name(made: Fleet) -> None:
    with pytest.raises(AssertionError, match="segmentSeconds"):
        made.run("cut/plain", {"segmentSeconds": "long"})


def test_without_attachments_a_run_has_the_models_defaults(made: Fleet) -> None:
    run = made.run("cut/plain")
    made.reaches(run, "Completed")
    artifacts = made.api("POST", "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
    assert any(artifact["key"] == "cut-report" and "Untitled" in artifact["data"] for artifact in artifacts)
