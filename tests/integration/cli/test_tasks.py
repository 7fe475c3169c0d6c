"""The commands about tasks, against a real Prefect server and without a node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.actions import VariableCreate, WorkPoolUpdate
from prefect.states import Scheduled

from skald_work_pools.messages import NODE_VARIABLE_PREFIX
from tests.services import runs
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer
from tests.services.skald_cli import SKALD, Answer, skald, skald_environment

ANYWAY = "--queue-anyway"


class Cli:
    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self.env = {"PREFECT_API_URL": url, "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false"}

    def __call__(self, *arguments: str) -> Answer:
        return skald(*arguments, home=self.home, env=self.env, cwd=self.home)


@pytest.fixture
def cli(server: PrefectServer, tmp_path: Path) -> Cli:
    return Cli(tmp_path, server.url)


async def test_tasks_are_listed_for_people_and_programs(server: PrefectServer, cli: Cli) -> None:
    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
        done, failed = await runs.start(client, deployed), await runs.start(client, deployed)
        await runs.live(client, done, runs.life("node-1"))
        await runs.live(client, failed, runs.life("node-2", fails=True))
    listed = cli("tasks", "--type", deployed.class_name, "--json").json
    assert {task["id"] for task in listed} == {str(done), str(failed)}
    task = next(task for task in listed if task["id"] == str(failed))
    assert task["className"] == deployed.class_name
    assert task["lifecycleStatus"] == "Failed"
    assert task["state"]["type"] == "FAILED"
    assert task["state"]["message"] == "ffmpeg ended with 1"
    assert task["pool"] == deployed.pool
    assert task["attachments"] == runs.ATTACHMENTS
    assert task["revision"] == 1
    only = cli("tasks", "--type", deployed.class_name, "--state", "Finished", "--json").json
    assert [task["id"] for task in only] == [str(done)]
    shown = cli("tasks", "--type", deployed.class_name)
    assert shown.code == 0
    assert "\x1b" not in shown.out
    assert str(done)[-8:] in shown.out
    assert "Finished" in shown.out
    limited = cli("tasks", "--type", deployed.class_name, "--limit", "1", "--json").json
    assert len(limited) == 1


async def test_one_task_by_id_prefix_and_name(server: PrefectServer, cli: Cli) -> None:
    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
        run = await runs.start(client, deployed)
        await runs.live(client, run, runs.life("node-1"))
        name = (await client.read_flow_run(run)).name
    by_id = cli("task", str(run), "--json").json
    assert [state["lifecycleStatus"] for state in by_id["states"]] == [
        "Created",
        "Assigning",
        "Running",
        "Finished",
    ]
    assert by_id["subtasks"] == []
    assert cli("task", str(run)[:13], "--json").json["id"] == str(run)
    shown = cli("task", name)
    assert shown.code == 0
    assert str(run) in shown.out
    assert "bikes.mp4" in shown.out
    assert "attachments (revision 1)" in shown.out


async def test_control_and_updates_of_a_task_that_has_not_started(server: PrefectServer, cli: Cli) -> None:
    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
    made = cli(
        "submit",
        deployed.class_name,
        "inputUrl=a.mp4",
        "segmentSeconds=7",
        "--json",
        "--name",
        "first",
        ANYWAY,
    )
    task = made.json
    assert task["name"] == "first"
    assert task["attachments"] == {"inputUrl": "a.mp4", "segmentSeconds": 7}
    stored = cli("update", task["id"], "segmentSeconds=3", "--json").json
    assert (stored["outcome"], stored["revision"], stored["reason"]) == ("stored", 2, None)
    assert cli("task", task["id"], "--json").json["attachments"]["segmentSeconds"] == 3
    cancelled = cli("cancel", task["id"], "--json").json
    assert cancelled[0]["lifecycleStatus"] in ("Cancelled", "Running")
    refused = cli("resume", task["id"])
    assert refused.code == 5
    assert refused.err.startswith("Error: ")


async def test_the_same_key_makes_one_task(server: PrefectServer, cli: Cli) -> None:
    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
    key = uuid4().hex
    ids = {
        cli("submit", deployed.class_name, "inputUrl=a", "--key", key, "--json", ANYWAY).json["id"]
        for _ in range(2)
    }
    assert len(ids) == 1


async def test_a_task_after_another_says_what_it_waits_for(server: PrefectServer, cli: Cli) -> None:
    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
    first = cli("submit", deployed.class_name, "inputUrl=a", "--json", ANYWAY).json["id"]
    after = ("--after", first[-8:], "--priority", "4", "--json", ANYWAY)
    given = ("submit", deployed.class_name, "inputUrl=b", *after)
    second = cli(*given).json
    assert cli("why", second["id"], "--json").json["reasons"] == [
        f"It waits for task {first}, which is Scheduled."
    ]
    async with runs.client_of(server.url) as client:
        run = await client.read_flow_run(UUID(second["id"]))
    assert (run.state_name, run.work_queue_name) == ("AwaitingDependencies", "priority-4")
    assert cli("submit", deployed.class_name, "inputUrl=b", "--after", "nobody").code == 3


async def test_submit_waits_for_the_end_and_exits_by_it(server: PrefectServer, cli: Cli) -> None:
    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
        command = [*SKALD, "submit", deployed.class_name, "inputUrl=a", "--wait", ANYWAY]
        process = subprocess.Popen(
            command,
            env=skald_environment(cli.home, cli.env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        run = process.stdout.readline().split()[-1]
        await runs.live(client, run, runs.life("n", fails=True))  # type: ignore[arg-type]
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "Failed" in out
    assert "ffmpeg ended with 1" in out


async def test_why_names_pool_queue_limit_and_missing_nodes(server: PrefectServer, cli: Cli) -> None:
    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
        held, waits = await runs.start(client, deployed), await runs.start(client, deployed)
        await runs.live(client, held, runs.life("node-1")[:2])
        await client.update_flow_run_labels(held, {"skald.node": "node-1"})
        await client.update_work_pool(deployed.pool, WorkPoolUpdate(is_paused=True, concurrency_limit=1))
    told = cli("why", str(waits), "--json").json
    reasons = " ".join(told["reasons"])
    assert f"The work pool {deployed.pool} is paused" in reasons
    assert "concurrency limit of 1" in reasons
    assert f"skald node --pool {deployed.pool}" in reasons
    assert told["nodeLog"] == []
    shown = cli("why", str(held))
    assert shown.code == 0
    assert "node-1 is silent" in shown.out


async def test_why_names_the_time_of_a_run_that_is_not_due(server: PrefectServer, cli: Cli) -> None:
    from datetime import UTC, datetime, timedelta

    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
        later = Scheduled(scheduled_time=datetime.now(UTC) + timedelta(hours=2))
        run = await client.create_flow_run_from_deployment(
            deployed.deployment, parameters={"attachments": runs.ATTACHMENTS}, state=later
        )
    assert cli("why", str(run.id), "--json").json["reasons"][0].startswith("It is to start at ")


async def test_pool_is_made_once_and_nodes_are_listed(server: PrefectServer, cli: Cli) -> None:
    name = f"pool-{uuid4().hex[:8]}"
    assert cli("pool", name).out.startswith("created")
    assert cli("pool", name).out.startswith("there already")
    async with runs.client_of(server.url) as client:
        pool = await client.read_work_pool(name)
        assert pool.type == "skald"
        assert "gpus" in json.dumps(pool.base_job_template)
        await client.send_worker_heartbeat(name, "node-a", 30)
        told = {
            "name": "node-a",
            "pool": name,
            "cpus": 2,
            "memory": 8_000_000_000,
            "limit": 3,
            "tags": ["lan"],
        }
        variable = NODE_VARIABLE_PREFIX + name.replace("-", "_")
        await client.create_variable(VariableCreate(name=variable, value=told))
        other = await runs.deploy(client, pool_type="process")
    listed = cli("nodes", "--pool", name, "--json").json
    assert [(node["name"], node["pool"], node["status"]) for node in listed] == [("node-a", name, "online")]
    assert listed[0]["runningTasks"] == 0
    assert listed[0]["capacity"]["limit"] == 3
    assert listed[0]["free"] == {"slots": 3, "cpus": 2.0, "memory": 8 * 10**9, "gpus": 0, "gpuMemory": 0}
    row = next(line for line in cli("nodes").out.splitlines() if name in line)
    assert " ".join(row.split()).startswith(f"node-a {name} online 0% no 0/3 0/2 0 B of 8.0 GB ")
    wrong = cli("pool", other.pool)
    assert wrong.code == 5
    assert "has the type process" in wrong.err


async def test_watch_prints_a_line_for_each_change(server: PrefectServer, cli: Cli, tmp_path: Path) -> None:
    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
        run = await runs.start(client, deployed)
        out = tmp_path / "watched"
        with out.open("w") as file:
            process = subprocess.Popen(
                [*SKALD, "tasks", "--type", deployed.class_name, "--watch", "--json"],
                env=skald_environment(cli.home, cli.env),
                stdout=file,
            )
        try:
            until(lambda: "Created" in out.read_text(), 30, "the first state")
            await runs.live(client, run, runs.life("n"))
            until(lambda: "Finished" in out.read_text(), 30, "the last state")
        finally:
            process.terminate()
            process.wait(20)
    assert all(isinstance(json.loads(line), list) for line in out.read_text().splitlines())
