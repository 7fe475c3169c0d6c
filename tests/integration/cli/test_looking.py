"""Commands that look: order, watching, logs, task types, and what Prefect itself would print."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prefect.states import Scheduled

from tests.services import runs
from tests.services.poll import until
from tests.services.prefect_cli import running
from tests.services.prefect_server import PrefectServer
from tests.services.skald_cli import SKALD, Answer, skald, skald_environment

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

FLOW = """
import sys
from pydantic import Field
from skald_bridge.authoring import CAN_CHANGE, Attachments, live, task_type
from skald_work_pools.needs import Needs


class Talk(Attachments):
    words: str = Field("hello", description="What is said.")
    times: int = Field(1, ge=0, json_schema_extra=CAN_CHANGE)


@task_type(name="{name}", needs=Needs(cpus=0.1))
def talk(attachments: Talk) -> None:
    for number in range(attachments.times):
        print(attachments.words, number)
    print("to stderr", file=sys.stderr)
    if attachments.words == "boom":
        raise RuntimeError("out of words")
"""


class Place:
    """A folder with a flow, deployed to a pool of its own, which no node serves yet."""

    def __init__(self, server: PrefectServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.name = f"talk-{uuid4().hex[:8]}"
        self.env = {"PREFECT_API_URL": server.url, "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false"}
        (folder / "talking.py").write_text(FLOW.replace("{name}", self.name))
        entry = {"name": "talk", "entrypoint": "talking.py:talk", "work_pool": {"name": self.name}}
        pull = [{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}]
        (folder / "prefect.yaml").write_text(json.dumps({"pull": pull, "deployments": [entry]}))

    def __call__(self, *arguments: str) -> Answer:
        return skald(*arguments, home=self.folder, env=self.env, cwd=self.folder)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*SKALD, *arguments],
            env=skald_environment(self.folder, self.env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module")
def place(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(server, tmp_path_factory.mktemp("place"))
    deployed = made("deploy", ".")
    assert deployed.code == 0, deployed
    yield made


@pytest.fixture(scope="module")
def node(place: Place) -> Iterator[Place]:
    command = [*SKALD, "node", "--pool", place.name, "--name", f"{place.name}-node"]
    with running(place.server, command, place.folder / "node.log", env={"SKALD_HOME": str(place.folder)}):
        until(lambda: place("nodes", "--pool", place.name, "--json").json, 120, "the node")
        yield place


async def test_newest_first_whatever_they_wait_for(server: PrefectServer, place: Place) -> None:
    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
        later = Scheduled(scheduled_time=datetime.now(UTC) + timedelta(days=3))
        made = [
            (
                await client.create_flow_run_from_deployment(
                    deployed.deployment,
                    parameters={"attachments": runs.ATTACHMENTS},
                    state=later if number % 3 == 0 else Scheduled(),
                )
            ).id
            for number in range(9)
        ]
        await runs.live(client, made[2], runs.life("n"))
    for limit in (1, 4, 9, 20):
        listed = place("tasks", "--type", deployed.class_name, "--limit", str(limit), "--json").json
        assert [task["id"] for task in listed] == [str(id_) for id_ in reversed(made)][:limit]


async def test_watching_without_a_terminal(server: PrefectServer, place: Place) -> None:
    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
        run = await runs.start(client, deployed)
        process = place.start("tasks", "--type", deployed.class_name, "--watch")
        assert process.stdout is not None
        try:
            assert process.stdout.readline().split()[0] == "ID"
            assert "Created" in process.stdout.readline()
            await runs.live(client, run, runs.life("n"))
            seen = iter(process.stdout.readline, "")
            assert any("Finished" in line for line in seen)
            process.stdout.close()
            assert process.wait(30) == 0, "the reader has gone"
        finally:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


def test_ctrl_c_ends_watching_with_130(place: Place) -> None:
    process = place.start("tasks", "--type", place.name, "--watch", "--json")
    assert process.stdout is not None
    assert process.stdout.readline() == "[]\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    # A busy machine's command may also say what it waits for.
    said = [line for line in err.splitlines() if not line.startswith("waiting: ")]
    assert (process.returncode, out, said) == (130, "", [])


def test_types_say_fields_needs_and_deployments(place: Place) -> None:
    listed = place("types", "--json").json
    assert place.name in [one["name"] for one in listed]
    one = place("types", place.name, "--json").json
    assert one in listed
    assert one["needs"] == {"cpus": 0.1}
    assert [(field["name"], field["default"], field["canChangeWhileRunning"]) for field in one["fields"]] == [
        ("words", "hello", False),
        ("times", 1, True),
    ]
    assert [(each["name"], each["pool"]) for each in one["deployments"]] == [("talk", place.name)]
    shown = place("types", place.name)
    assert shown.code == 0 and "What is said." in shown.out and "integer, ≥ 0" in shown.out
    missing = place("types", place.name[:-1] + "_")
    missing.is_clear(3, f"Did you mean {place.name}?", "`skald types`")


def test_a_wrong_field_sends_to_types(place: Place) -> None:
    wrong = place("submit", place.name, "times=many")
    assert wrong.code == 2
    assert f"`skald types {place.name}`" in wrong.err


def test_logs_are_prints_tracebacks_and_what_nodes_said(node: Place) -> None:
    ended = node("submit", node.name, "words=boom", "times=2", "--json")
    id_ = ended.json["id"]
    followed = node("logs", id_, "--follow")
    assert followed.code == 0, followed
    lines = followed.out.splitlines()
    assert [line.split()[-2:] for line in lines if "boom" in line and "INFO" in line] == [
        ["boom", "0"],
        ["boom", "1"],
    ]
    assert "to stderr" in followed.out
    assert "Traceback (most recent call last):" in followed.out and "out of words" in followed.out
    assert "ended as Failed" in followed.err
    told = node("logs", id_, "--json")
    assert told.code == 0
    entries = told.lines
    assert entries == sorted(entries, key=lambda entry: entry["at"])
    assert {"stdout", "stderr", "skald.node"} <= {entry["logger"] for entry in entries}
    assert node("logs", id_, "--limit", "2", "--json").lines == entries[-2:]
    assert node("logs", str(uuid4())).code == 3


async def test_followed_logs_say_what_is_waited_for(server: PrefectServer, place: Place) -> None:
    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
        run = await runs.start(client, deployed)
        process = place.start("logs", str(run), "--follow", "--json")
        assert process.stderr is not None
        try:
            assert f"skald node --pool {deployed.pool}" in process.stderr.readline()
            await runs.live(client, run, runs.life("n"))
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
    assert (process.returncode, out) == (0, "")
    assert "ended as Completed" in err


async def test_progress_is_the_same_wherever_a_task_is_printed(server: PrefectServer, place: Place) -> None:
    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
        process = place.start(
            "submit", deployed.class_name, "inputUrl=a", "--queue-anyway", "--wait", "--json"
        )
        listed = until(lambda: place("tasks", "--type", deployed.class_name, "--json").json, 60, "the task")
        run = UUID(listed[0]["id"])
        told = {"key": f"progress-{run}", "type": "progress", "data": 100.0, "description": "all of it"}
        await client.request("POST", "/artifacts/", json={**told, "flow_run_id": str(run)})
        await runs.live(client, run, runs.life("n"))
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    progress = {"fraction": 1.0, "text": "all of it"}
    assert json.loads(out)["progress"] == progress
    again = place("retry", str(run), "--json").json
    for task in (
        *again,
        place("task", str(run), "--json").json,
        place("why", str(run), "--json").json["task"],
    ):
        assert task["progress"] == progress


def test_a_new_users_terminal_shows_nothing_of_prefects(place: Place, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    env = skald_environment(tmp_path, place.env)
    for name in ("DO_NOT_TRACK", "CI", "GITHUB_ACTIONS", "PREFECT_SERVER_ANALYTICS_ENABLED"):
        env.pop(name, None)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        done = subprocess.run(
            [*SKALD, "tasks", "--type", place.name, "--json", "--limit", "1"],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            timeout=60,
            check=False,
        )
        os.close(theirs)
        try:
            said = terminal.read(65536)
        except OSError:  # so Linux tells that nobody writes any more
            said = b""
    assert done.returncode == 0
    assert isinstance(json.loads(done.stdout), list)
    assert said == b""
