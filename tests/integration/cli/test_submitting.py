"""Which deployment is chosen, what is refused, and what somebody who waits is told; nodes are only announced."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import VariableCreate, WorkPoolCreate, WorkPoolUpdate

from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.domain.errors import Rejected
from skald_work_pools.devices import Announcement
from tests.services import runs
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer
from tests.services.skald_cli import SKALD, Answer, skald, skald_environment

GIVEN = "inputUrl=a.mp4"


class Cli:
    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self.env = {"PREFECT_API_URL": url, "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false"}

    def __call__(self, *arguments: str) -> Answer:
        return skald(*arguments, home=self.home, env=self.env, cwd=self.home)

    @contextmanager
    def waiting(self, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Path, Path]]:
        """The command at work, and the files that its output and errors go to."""
        out, err = self.home / "out", self.home / "err"
        with out.open("w") as to_out, err.open("w") as to_err:
            process = subprocess.Popen(
                [*SKALD, *arguments], env=skald_environment(self.home, self.env), stdout=to_out, stderr=to_err
            )
        try:
            yield process, out, err
        finally:
            process.kill()
            process.wait(20)


@pytest.fixture
def cli(server: PrefectServer, tmp_path: Path) -> Cli:
    return Cli(tmp_path, server.url)


async def announced(client: PrefectClient, pool: str, cpus: float = 4) -> None:
    """A node as it announces itself, that does nothing."""
    name = f"{pool}-node"
    await client.send_worker_heartbeat(pool, name, 600)
    told = Announcement(name, pool, "host", 1, cpus, 2**33, datetime.now(UTC), "0")
    await client.create_variable(VariableCreate(name=told.variable, value=told.to_dict()))


async def second_deployment(client: PrefectClient, first: runs.Deployed) -> tuple[str, str]:
    """Another, changed later, of the same flow: its name and pool."""
    mark = uuid4().hex[:8]
    await client.create_work_pool(WorkPoolCreate(name=f"later-{mark}", type="skald"))
    flow = await client.read_flow_by_name(first.class_name)
    await client.create_deployment(
        flow.id, f"dep-{mark}", work_pool_name=f"later-{mark}", parameter_openapi_schema=runs.SCHEMA
    )
    return f"dep-{mark}", f"later-{mark}"


async def test_the_deployment_that_a_node_serves_is_taken_unless_another_is_named(
    server: PrefectServer, cli: Cli
) -> None:
    async with runs.client_of(server.url) as client:
        first = await runs.deploy(client)
        other, pool = await second_deployment(client, first)
        await announced(client, first.pool)
        engine = PrefectEngine()
        async with engine:
            made = await engine.create(first.class_name, runs.ATTACHMENTS)
            assert made.pool == first.pool
            with pytest.raises(Rejected, match=f"No node of the pool {pool} is online"):
                await engine.create(first.class_name, runs.ATTACHMENTS, pool=pool, only_if_served=True)
    task = cli("submit", first.class_name, GIVEN, "--json").json
    assert task["pool"] == first.pool
    refused = cli("submit", first.class_name, GIVEN, "--deployment", other)
    refused.is_clear(5, f"No node of the pool {pool} is online", "--queue-anyway", "Choose one that can")
    named = cli("submit", first.class_name, GIVEN, "--pool", pool, "--queue-anyway", "--json").json
    assert (named["pool"], named["deployment"]) == (pool, other)
    cli("submit", first.class_name, GIVEN, "--pool", "none").is_clear(3, "no deployment", first.pool, pool)


async def test_needs_that_no_node_has_are_refused(server: PrefectServer, cli: Cli) -> None:
    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
        cli("submit", deployed.class_name, GIVEN).is_clear(
            5, f"No node of the pool {deployed.pool} is online", f"skald node --pool {deployed.pool}"
        )
        once = ("submit", deployed.class_name, GIVEN, "--json", "--key", uuid4().hex)
        first = cli(*once, "--queue-anyway").json
        assert cli(*once).json["id"] == first["id"], "a repeat makes no task that could wait"
        await announced(client, deployed.pool)
        words = ("submit", deployed.class_name, GIVEN, "--json", "--needs")
        cli(*words, "cpus=64").is_clear(5, "needs 64 cpus, has 4", "--needs", "--queue-anyway")
        cli(*words, "cpu=1").is_clear(2, "did you mean 'cpus'?")
        made = [cli(*words, "cpus=2").json, cli(*words, "cpus=64", "--queue-anyway").json]
        found = [(await client.read_flow_run(UUID(task["id"]))).job_variables for task in made]
    assert found == [{"cpus": 2}, {"cpus": 64}]


async def test_who_waits_is_told_what_for_and_of_changes_and_ctrl_c_leaves_the_task(
    server: PrefectServer, cli: Cli
) -> None:
    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
        words = ("submit", deployed.class_name, GIVEN, "--wait", "--queue-anyway")
        with cli.waiting(*words) as (process, out, err):
            until(
                lambda: f"No node of the pool {deployed.pool} is online" in err.read_text(), 60, "the reason"
            )
            await client.update_work_pool(deployed.pool, WorkPoolUpdate(is_paused=True))
            until(lambda: f"{deployed.pool} is paused" in err.read_text(), 30, "the new reason")
            assert err.read_text().count("is paused. Resume it") == 1
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130, err.read_text()
        task = out.read_text().split()[2]
        assert f"skald cancel {task[-8:]}" in err.read_text()
        assert "Traceback" not in err.read_text()
        assert "the task goes on" in err.read_text()
        assert (await client.read_flow_run(UUID(task))).state_name == "Scheduled"


async def test_an_update_that_nobody_answers_says_what_the_task_does(server: PrefectServer, cli: Cli) -> None:
    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
        run = await runs.start(client, deployed)
        await runs.live(client, run, runs.life("node-1")[:2])
        with cli.waiting("update", str(run), "segmentSeconds=3", "--timeout", "600") as (process, _, err):
            until(lambda: "It runs." in err.read_text(), 60, "what the task does")
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130, err.read_text()
        assert "Interrupted; the task may still take the change" in err.read_text()


async def test_a_task_that_is_paused_is_updated_and_a_suspended_one_too(
    server: PrefectServer, cli: Cli
) -> None:
    from prefect.states import Paused, Suspended

    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
        run = await runs.start(client, deployed)
        for revision, state in ((2, Paused(timeout_seconds=600)), (3, Suspended(timeout_seconds=600))):
            await runs.live(client, run, [*runs.life("node-1")[:2], state])
            said = cli("update", str(run), f"segmentSeconds={revision}")
            assert said.code == 0, said
            assert said.out == f"stored: revision {revision}; applied when it goes on\n"
            found = await client.read_flow_run(run)
            assert found.parameters["attachments"]["segmentSeconds"] == revision
        cli("update", str(run), "segmentSecond=3").is_clear(2, "segmentSecond")


async def test_a_failed_task_tells_its_traceback_and_what_it_made(server: PrefectServer, cli: Cli) -> None:
    from prefect.client.schemas.actions import ArtifactCreate, LogCreate
    from prefect.states import Crashed

    async with runs.client_of(server.url) as client:
        deployed = await runs.deploy(client)
        run = await runs.start(client, deployed)
        await runs.live(client, run, [*runs.life("n1")[:2], Crashed(message="exited with code 1")])
        lines = [
            "Traceback (most recent call last):",
            '  File "job.py", line 3',
            "TypeError: no 'attachments'",
        ]
        await client.create_logs(
            [
                LogCreate(name="stderr", level=20, message=line, timestamp=datetime.now(UTC), flow_run_id=run)
                for line in lines
            ]
        )
        made = ArtifactCreate(key="files", type="table", data="[]", description="/media/out", flow_run_id=run)
        await client.create_artifact(made)
    told = cli("task", str(run), "--json").json
    assert told["failure"] == {"cause": "TypeError: no 'attachments'", "details": "\n".join(lines)}
    assert told["artifacts"] == [{"type": "table", "key": "files", "description": "/media/out"}]
    assert told["recordings"] == []
    shown = cli("task", str(run)[-8:]).out
    assert "/media/out" in shown
    assert all(line.strip() in shown for line in lines)
