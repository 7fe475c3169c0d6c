"""A person's day with `skald` alone: deploy, node, submit, update, pause, resume, cancel, retry, why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.services.poll import until
from tests.services.prefect_cli import running
from tests.services.prefect_server import PrefectServer
from tests.services.skald_cli import SKALD, Answer, skald

pytestmark = [pytest.mark.server, pytest.mark.oldest, pytest.mark.timeout(400)]

FLOW = """
import time
from prefect import task
from pydantic import Field
from skald_bridge.authoring import Attachments, live, progress, task_type
from skald_work_pools.needs import Needs
from pydantic import BaseModel, Field
from skald_bridge.authoring import Attachments, flow_from_worker, live, progress, task_type
from skald_bridge.authoring.skalds import BaseTaskWorker, run_main_handler, update_event_handler
from skald_work_pools.needs import Needs


class Count(Attachments):
    upTo: int = 3
    step: float = Field(0.2, gt=0)


@task
def prepare() -> None: ...


@task_type(name="{name}", needs=Needs(cpus=0.1))
def count(attachments: Count) -> int:
    prepare()
    done = 0
    newest = live(attachments)
    while done < newest.value.upTo:
        progress(done, newest.value.upTo, "counting")
        time.sleep(newest.value.step)
        done += 1
    return done


@task_type(name="{name}-big", needs=Needs(gpus=9))
def big(attachments: Count) -> None: ...


class Plain(BaseModel):
    fps: int = 1


class Camera(BaseTaskWorker[Plain]):
    def initialize(self, data: Plain) -> None:
        self.fps = data.fps

    @run_main_handler
    def main(self) -> None:
        while self.fps:
            time.sleep(0.05)

    @update_event_handler
    def update(self, data: Plain) -> None:
        self.fps = data.fps


camera = flow_from_worker(Camera, name="{name}-class")
"""


class Place:
    """A folder with two flows, deployed to a pool of their own."""

    def __init__(self, server: PrefectServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.name = f"count-{uuid4().hex[:8]}"
        (folder / "flows_here.py").write_text(FLOW.replace("{name}", self.name))
        entries = [
            {"name": function, "entrypoint": f"flows_here.py:{function}", "work_pool": {"name": self.name}}
            for function in ("count", "big", "camera")
        ]
        pull = [{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}]
        (folder / "prefect.yaml").write_text(json.dumps({"pull": pull, "deployments": entries}))

    def __call__(self, *arguments: str) -> Answer:
        env = {"PREFECT_API_URL": self.server.url}
        return skald(*arguments, home=self.folder, env=env, cwd=self.folder)

    def task(self, id_: str) -> dict[str, object]:
        found: dict[str, object] = self("task", id_, "--json").json
        return found

    def reaches(self, id_: str, status: str) -> dict[str, object]:
        def there() -> dict[str, object] | None:
            found = self.task(id_)
            ended = found["lifecycleStatus"] in ("Finished", "Failed", "Cancelled")
            assert not ended or found["lifecycleStatus"] == status, found["states"]
            return found if found["lifecycleStatus"] == status else None

        found = until(there, 120, f"{status}: {self('why', id_).out}")
        assert found is not None
        return found


@pytest.fixture(scope="module")
def place(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(server, tmp_path_factory.mktemp("place"))
    deployed = made("deploy", ".")
    assert deployed.code == 0, deployed
    assert f"created work pool {made.name}, type skald" in deployed.out
    command = [*SKALD, "node", "--pool", made.name, "--name", f"{made.name}-node", "--limit", "4"]
    with running(server, command, made.folder / "node.log", env={"SKALD_HOME": str(made.folder)}):
        until(lambda: made("nodes", "--pool", made.name, "--json").json, 120, "the node")
        yield made


def test_a_task_is_submitted_waited_for_and_shown(place: Place) -> None:
    said = place("submit", place.name, "upTo=2", "--wait")
    assert said.code == 0, said
    assert "Finished" in said.out
    id_ = said.out.splitlines()[0].split()[-1]
    task = place.task(id_)
    assert task["node"] == f"{place.name}-node"
    assert [subtask["name"] for subtask in task["subtasks"]]  # type: ignore[attr-defined]
    assert "on node" in place("why", id_).out


def test_a_running_task_is_paused_resumed_updated_and_ends(place: Place) -> None:
    id_ = place("submit", place.name, "upTo=100000", "--json").json["id"]
    place.reaches(id_, "Running")
    assert place("pause", id_, "--json").json[0]["lifecycleStatus"] == "Paused"
    assert place("resume", id_, "--json").json[0]["lifecycleStatus"] == "Running"
    refused = place("update", id_, "step=-1")
    assert refused.code == 5
    assert "rejected revision 2: step: Input should be greater than 0" in refused.err
    applied = place("update", id_, "upTo=1", "--json").json
    assert applied["outcome"] == "applied"
    ended = place.reaches(id_, "Finished")
    assert ended["revision"] == applied["revision"] >= 2  # type: ignore[operator]
    assert ended["attachments"]["upTo"] == 1  # type: ignore[index]


def test_a_frozen_task_takes_an_update_when_it_goes_on(place: Place) -> None:
    id_ = place("submit", place.name, "upTo=100000", "--json").json["id"]
    place.reaches(id_, "Running")
    place("pause", id_)
    # Until its node has frozen it, an update still reaches its process.
    until(lambda: "its processes are frozen" in place("logs", id_).out, 60, "it is frozen")
    stored = place("update", id_, "upTo=1")
    assert (stored.code, stored.out) == (0, "stored: revision 2; applied when it goes on\n"), stored
    assert place.task(id_)["attachments"]["upTo"] == 1  # type: ignore[index]
    place("resume", id_)
    assert place.reaches(id_, "Finished")["revision"] == 2


def test_a_class_with_a_plain_model_rejects_a_wrong_field(place: Place) -> None:
    id_ = place("submit", f"{place.name}-class", "--json").json["id"]
    place.reaches(id_, "Running")
    place("update", id_, "fsp=2").is_clear(5, "unknown field 'fsp', did you mean 'fps'?")
    place("update", id_, "fps=many").is_clear(5, "fps: Input should be a valid integer")
    place("pause", id_)
    until(lambda: "its processes are frozen" in place("logs", id_).out, 60, "it is frozen")
    assert place("update", id_, "fps=2", "--json").json["outcome"] == "stored"
    place("resume", id_)
    until(lambda: place("update", id_, "fps=0", "--json").json["outcome"] == "applied", 60, "its end")
    place.reaches(id_, "Finished")


def test_a_task_is_cancelled_and_retried(place: Place) -> None:
    id_ = place("submit", place.name, "upTo=100000", "--json").json["id"]
    place.reaches(id_, "Running")
    assert place("cancel", id_).code == 0
    place.reaches(id_, "Cancelled")
    assert place("update", id_, "upTo=1").code in (0, 5)
    again = place("retry", id_)
    assert again.code == 0, again
    place.reaches(id_, "Running")
    place("cancel", id_)
    place.reaches(id_, "Cancelled")


def test_a_task_that_no_node_can_take_says_why(place: Place) -> None:
    def known() -> bool:
        node = place("nodes", "--pool", place.name, "--json").json[0]
        return f"{place.name}-big" in node["capacity"].get("needs", {})

    until(known, 120, "the node's word of what its task types need")
    refused = place("submit", f"{place.name}-big")
    refused.is_clear(5, f"node {place.name}-node: needs 9 gpus, has none", "--queue-anyway")
    id_ = place("submit", f"{place.name}-big", "--json", "--queue-anyway").json["id"]
    told = until(lambda: place("why", id_, "--json").json["nodeLog"], 120, "a refusal")
    assert told[0]["message"] == f"node {place.name}-node: needs 9 gpus, has none"
    shown = place("why", id_, "--json").json["reasons"]
    assert shown[0].startswith(f"No node of the pool {place.name} that is online could ever take it: node")
    assert "needs 9 gpus, has none" in shown[0]
    place("cancel", id_)
