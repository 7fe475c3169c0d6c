"""edge and node with a real server, a real node process and a documents' user's own script."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.modes.test_single_process import MAIN, PROJECT, SKALD, end, lines, run
from tests.services.http import request
from tests.services.poll import until
from tests.services.prefect_cli import running
from tests.services.prefect_server import PrefectServer, free_port
from tests.services.updates import send_update

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


@pytest.fixture
def name() -> str:
    return f"edge-{uuid4().hex[:8]}"


@pytest.fixture
def env(server: PrefectServer, name: str, tmp_path: Path) -> dict[str, str]:
    return {
        "SKALD_HOME": str(tmp_path / "skald"),
        "SKALD_ID": name,
        "SKALD_GRACE": "1",
        "YAML_FILE": str(PROJECT / "all_workers.yml"),
        "STAMPS": str(tmp_path / "stamps"),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }


def api(server: PrefectServer, method: str, path: str, body: Any = None) -> Any:
    answer = request(method, f"{server.url}{path}", json=body, timeout=30)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def runs(server: PrefectServer, pool: str, task: str) -> list[dict[str, Any]]:
    """The flow runs of an entry, oldest first."""
    found = api(
        server,
        "POST",
        "/flow_runs/filter",
        {"work_pools": {"name": {"any_": [pool]}}, "flow_runs": {"name": {"any_": [task]}}},
    )
    return sorted(found, key=lambda row: str(row["created"]))


def words(env: dict[str, str], task: str) -> list[str]:
    return [line[1] for line in lines(env) if line[0] == task]


def test_every_entry_becomes_a_task_and_a_persistent_one_starts_again(
    server: PrefectServer, env: dict[str, str], name: str, tmp_path: Path
) -> None:
    pool, log = f"edge-{name}", tmp_path / "edge.log"
    with running(server, MAIN, log, env={**env, "SKALD_MODE": "edge"}, cwd=tmp_path) as edge:
        until(lambda: words(env, "TaskWorker1") == ["before", "main"], 180, f"TaskWorker1 in main; {log}")
        until(lambda: len(words(env, "TaskWorker2")) == 2, 120, "TaskWorker2's subtasks")
        assert words(env, "TaskWorker2") == ["Download-Data", "Process-Data"]
        (second,) = runs(server, pool, "TaskWorker2")
        until(lambda: runs(server, pool, "TaskWorker2")[0]["state_type"] == "COMPLETED", 90, "it completes")
        assert second["parameters"]["attachments"]["jobId"] == "job-12345"

        end(env, "fail")
        until(lambda: len(runs(server, pool, "TaskWorker1")) >= 2, 120, "TaskWorker1 is started again")
        first, *_ = runs(server, pool, "TaskWorker1")
        assert first["state_type"] == "FAILED" and "lens cap on" in first["state"]["message"]
        Path(env["STAMPS"]).with_suffix(".end").unlink()
        until(lambda: words(env, "TaskWorker1")[-1] == "main", 120, "TaskWorker1 runs again")
        assert len(runs(server, pool, "TaskWorker2")) == 1

        edge.terminate()
        assert edge.wait(60) == 0
    assert words(env, "TaskWorker1")[-1] == "release"
    last = runs(server, pool, "TaskWorker1")[-1]
    assert last["state_type"] == "SCHEDULED", "a stopped node hands its runs back"

    count = len(runs(server, pool, "TaskWorker1"))
    with running(server, MAIN, log, env={**env, "SKALD_MODE": "edge"}, cwd=tmp_path):
        until(lambda: words(env, "TaskWorker1")[-1] == "main", 180, "the next edge takes it over")
        assert len(runs(server, pool, "TaskWorker1")) == count
        api(
            server,
            "POST",
            f"/flow_runs/{last['id']}/set_state",
            {"state": {"type": "CANCELLING"}, "force": True},
        )
        until(lambda: words(env, "TaskWorker1")[-1] == "release", 90, "the release handler at a cancel")
        until(
            lambda: runs(server, pool, "TaskWorker1")[-1]["state_type"] == "CANCELLED", 90, "it is cancelled"
        )


async def test_a_task_of_an_edge_is_updated_while_it_runs(
    server: PrefectServer, env: dict[str, str], name: str, tmp_path: Path
) -> None:
    pool = f"edge-{name}"
    with running(server, MAIN, tmp_path / "log", env={**env, "SKALD_MODE": "edge"}, cwd=tmp_path):
        until(lambda: words(env, "TaskWorker1")[-1:] == ["main"], 180, "TaskWorker1 in main")
        (task,) = runs(server, pool, "TaskWorker1")
        pool_id = api(server, "GET", f"/work_pools/{pool}")["id"]
        answer = await send_update(server.url, task["id"], {"fix_frame": 10}, pool=pool_id)
        assert answer.payload["attachments"]["fixFrame"] == 10
        assert ["TaskWorker1", "update", "10"] in lines(env)
        end(env)
        until(lambda: "release" in words(env, "TaskWorker1"), 90, "it ends")


def test_an_edge_of_ending_entries_ends_with_the_worst_of_them(
    server: PrefectServer, env: dict[str, str], tmp_path: Path
) -> None:
    text = (PROJECT / "all_workers.yml").read_text().replace("isPersistent: true", "isPersistent: false")
    (tmp_path / "f.yml").write_text(text)
    command = [*SKALD, "run", "f.yml", "--mode", "edge", "--import", str(PROJECT / "main.py")]
    end(env)
    done = run(command, {**server.client_env, **env}, tmp_path)
    assert done.returncode == 0, done.stderr
    end(env, "fail")
    done = run(command, {**server.client_env, **env}, tmp_path)
    assert done.returncode == 1, done.stderr


def test_a_node_serves_registered_classes_to_its_pool(
    server: PrefectServer, env: dict[str, str], name: str, tmp_path: Path
) -> None:
    node = {**env, "SKALD_MODE": "node", "SKALD_POOL": name}
    with running(server, MAIN, tmp_path / "node.log", env=node, cwd=tmp_path) as process:

        def deployment() -> Any:
            answer = request("GET", f"{server.url}/deployments/name/ComplexWorker/{name}")
            return answer.json() if answer.is_success else None

        found = until(deployment, 180, "the deployment")
        assert found["work_pool_name"] == name
        body = {"parameters": {"attachments": {"jobId": "j", "retries": 0, "sub_tasks": []}}}
        made = api(server, "POST", f"/deployments/{found['id']}/create_flow_run", body)
        until(
            lambda: api(server, "GET", f"/flow_runs/{made['id']}")["state_type"] == "COMPLETED",
            60,
            "a task created elsewhere runs here",
        )
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.slow
def test_without_a_server_an_edge_starts_its_own_and_leaves_nothing_behind(
    env: dict[str, str], tmp_path: Path
) -> None:
    text = (PROJECT / "all_workers.yml").read_text().replace("isPersistent: true", "isPersistent: false")
    (tmp_path / "f.yml").write_text(text)
    alone = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    alone |= {**env, "SKALD_SERVER_PORT": str(free_port()), "HOME": str(tmp_path / "home")}
    end(env)
    command = [*SKALD, "run", "f.yml", "--mode", "edge", "--import", str(PROJECT / "main.py")]
    done = run(command, alone, tmp_path, seconds=200)
    assert done.returncode == 0, done.stderr
    assert words(env, "TaskWorker2") == ["Download-Data", "Process-Data"]
    left = [
        pid
        for pid in Path("/proc").iterdir()
        if pid.name.isdigit() and env["SKALD_HOME"].encode() in _environ(pid)
    ]
    assert left == []


def test_a_taken_port_is_named(env: dict[str, str], tmp_path: Path, server: PrefectServer) -> None:
    alone = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    alone |= {**env, "SKALD_SERVER_PORT": str(server.port), "HOME": str(tmp_path / "home")}
    done = run([*SKALD, "run", "--mode", "edge", "-i", str(PROJECT / "main.py")], alone, tmp_path)
    assert done.returncode == 4
    assert f"Port {server.port}, wanted for Prefect's server, is already taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_does_not_answer_is_named(env: dict[str, str], tmp_path: Path) -> None:
    nowhere = {
        **os.environ,
        **env,
        "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",
        "SKALD_MODE": "edge",
    }
    for command in (MAIN, [*SKALD, "run", "-i", str(PROJECT / "main.py")]):
        done = run(command, nowhere, tmp_path)
        assert done.returncode == 4, done.stderr
        assert "does not answer" in done.stderr and "Traceback" not in done.stderr


def _environ(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""
