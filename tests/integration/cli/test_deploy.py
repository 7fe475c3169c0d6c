"""`skald deploy`: refuses what Prefect would swallow, says shortly what it did, and its flows run anywhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.services.http import request
from tests.services.poll import until
from tests.services.prefect_cli import prefect, running
from tests.services.prefect_server import PrefectServer
from tests.services.skald_cli import SKALD, Answer, skald, skald_environment

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]
FLOW = """
from skald_bridge.authoring import Attachments, task_type


class Given(Attachments):
    count: int = 2


@task_type(name="{name}")
def job(attachments: Given) -> int:
    return attachments.count
"""


class Place:
    """A folder of a user's with one flow."""

    def __init__(self, server: PrefectServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.name = f"deployed-{uuid4().hex[:8]}"
        (folder / "jobs.py").write_text(FLOW.replace("{name}", self.name))
        self.write()

    def write(self, entrypoint: str = "jobs.py:job", **pool: Any) -> None:
        entry = {"name": "it", "entrypoint": entrypoint, "work_pool": {"name": self.name, **pool}}
        (self.folder / "prefect.yaml").write_text(json.dumps({"deployments": [entry]}))

    def __call__(self, *arguments: str) -> Answer:
        return skald(*arguments, home=self.folder, env={"PREFECT_API_URL": self.server.url}, cwd=self.folder)

    def deployed(self) -> bool:
        return request("GET", f"{self.server.url}/deployments/name/{self.name}/it").is_success


@pytest.fixture
def place(server: PrefectServer, tmp_path: Path) -> Place:
    return Place(server, tmp_path)


def test_what_was_deployed_is_a_short_table(place: Place) -> None:
    said = place("deploy", ".")
    assert said.code == 0, said
    assert place.deployed()
    lines = said.out.strip().splitlines()
    assert len(lines) <= 4, said
    assert lines[-1].split()[:2] == [f"{place.name}/it", place.name]
    assert said.err == ""
    assert "Deployment '" in place("deploy", ".", "--verbose").out


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        ("import nowhere_at_all", ("ModuleNotFoundError: No module named 'nowhere_at_all'", "jobs.py:")),
        ("def broken(:", ("SyntaxError", "jobs.py:")),
        ("1 / 0", ("ZeroDivisionError", "jobs.py:")),
    ],
)
def test_a_flow_that_cannot_be_imported_deploys_nothing(
    place: Place, break_it: str, words: tuple[str, ...]
) -> None:
    file = place.folder / "jobs.py"
    file.write_text(f"{file.read_text()}\n{break_it}\n")
    line = len(file.read_text().splitlines())
    said = place("deploy", ".")
    assert said.code == 2, said
    for word in (*words, f"jobs.py:{line}", "nothing was deployed"):
        assert word in said.err, said
    assert "Traceback" not in said.err
    assert not place.deployed()


def test_a_function_that_is_not_there_is_told(place: Place) -> None:
    place.write("jobs.py:jobb")
    said = place("deploy", ".")
    assert said.code == 2 and "'jobb' not found" in said.err, said


def test_job_variables_that_prefect_would_drop_are_refused(place: Place) -> None:
    place.write(job_variables={"needs": {"gpus": 1}})
    said = place("deploy", ".")
    assert said.code == 2, said
    assert "job variable 'needs' is ignored" in said.err and "job_variables: {gpus: 1}" in said.err
    assert not place.deployed()
    place.write(job_variables={"gpu": 1})
    assert "did you mean 'gpus'?" in place("deploy", ".").err


def test_a_name_that_is_not_there_is_told(place: Place) -> None:
    place("deploy", ".", "--name", "itt").is_clear(3, "No deployment is named itt", "Did you mean it?")


def test_the_products_flows_are_found_on_a_node_elsewhere_and_by_prefects_worker(
    server: PrefectServer, place: Place, tmp_path: Path
) -> None:
    """The node stands in a folder of its own, and the folder that deployed is gone."""
    deploying = tmp_path / "deploying"
    deploying.mkdir()
    env = {"PREFECT_API_URL": server.url}
    said = skald("deploy", "--name", "complex_job", home=deploying, env=env, cwd=deploying)
    assert said.code == 0, said
    shutil.rmtree(deploying)
    found = request("GET", f"{server.url}/deployments/name/complex_job/complex_job").json()
    assert found["entrypoint"] == "skald_bridge.task_types.complex_job:complex_job"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    stock = f"stock-{uuid4().hex[:8]}"
    prefect(server, "work-pool", "create", stock, "--type", "process")
    copy = {"name": stock, "flow_id": found["flow_id"], "work_pool_name": stock, "parameters": {}}
    taken = ("entrypoint", "pull_steps", "parameter_openapi_schema", "enforce_parameter_schema")
    beside = request(
        "POST", f"{server.url}/deployments/", json={**copy, **{key: found[key] for key in taken}}
    ).json()

    def runs_to_its_end(deployment: str) -> dict[str, Any]:
        """As `prefect deployment run` does without parameters; the dice of its defaults may fail it."""
        made = request(
            "POST",
            f"{server.url}/deployments/{deployment}/create_flow_run",
            json={"state": {"type": "SCHEDULED"}},
        )
        assert made.is_success, made.text

        def ended() -> dict[str, Any] | None:
            run = request("GET", f"{server.url}/flow_runs/{made.json()['id']}").json()
            return run if run["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

        run = until(ended, 90, "the run's end")
        assert run is not None
        return run

    command = [*SKALD, "node", "--pool", "cpu", "--name", f"elsewhere-{uuid4().hex[:8]}"]
    own = skald_environment(elsewhere, env)
    with running(server, command, elsewhere / "node.log", env=own, cwd=elsewhere):
        run = runs_to_its_end(found["id"])
        assert ran(run), run["state"]
    command = ["prefect", "worker", "start", "--pool", stock, "--type", "process"]
    command = [SKALD[0], "-m", *command]
    with running(
        server, command, elsewhere / "worker.log", env={"PREFECT_WORKER_QUERY_SECONDS": "0.5"}, cwd=elsewhere
    ):
        run = runs_to_its_end(beside["id"])
        assert ran(run), run["state"]


def ran(run: dict[str, Any]) -> bool:
    """Whether the flow was found and ran: the dice of its steps may have failed it."""
    state = run["state"]
    return state["type"] == "COMPLETED" or "StepFailed" in (state["message"] or "")


def test_a_pool_of_another_type_is_told_at_once(server: PrefectServer, tmp_path: Path) -> None:
    pool = f"process-{uuid4().hex[:8]}"
    prefect(server, "work-pool", "create", pool, "--type", "process")
    env = {"PREFECT_API_URL": server.url}
    for command in ("node", "up"):
        said = skald(command, "--pool", pool, home=tmp_path, env=env)
        said.is_clear(5, f"The work pool {pool} has the type process", "--pool")


def test_an_api_url_without_api_gets_the_right_one(server: PrefectServer, tmp_path: Path) -> None:
    bare = server.url.removesuffix("/api")
    said = skald("deploy", home=tmp_path, env={"PREFECT_API_URL": bare})
    said.is_clear(4, f"its API is at {server.url}", f"export PREFECT_API_URL={server.url}")
