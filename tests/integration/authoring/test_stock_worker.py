"""Task types on Prefect's stock process pool: nothing of this product runs there but the flow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import Flow, FlowRun
from prefect.states import Cancelling

from skald_work_pools import messages
from tests.services.poll import auntil
from tests.services.prefect_cli import prefect, running
from tests.services.prefect_server import PrefectServer
from tests.services.updates import send_update

PROJECT = Path(__file__).parent / "project"
pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def pool(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A process pool with a stock worker and the project's task types, by ``prefect deploy``."""
    name = f"stock-{uuid4().hex[:8]}"
    prefect(server, "work-pool", "create", name, "--type", "process")
    project = tmp_path_factory.mktemp("project")
    (project / "jobs.py").write_text((PROJECT / "jobs.py").read_text())
    (project / "workers.py").write_text((PROJECT / "workers.py").read_text())
    (project / "prefect.yaml").write_text(
        json.dumps(
            {
                "pull": [{"prefect.deployments.steps.set_working_directory": {"directory": str(project)}}],
                "deployments": [
                    {"name": name, "entrypoint": entrypoint, "work_pool": {"name": name}}
                    for entrypoint in ("jobs.py:watch", "jobs.py:watch_async", "workers.py:stamper")
                ],
            }
        )
    )
    prefect(server, "deploy", "--all", cwd=project)
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", name, "--type", "process"]
    with running(server, command, project / "worker.log", env={"PREFECT_WORKER_QUERY_SECONDS": "0.5"}):
        yield name


async def start(client: PrefectClient, deployment: str, attachments: dict[str, Any]) -> FlowRun:
    found = await client.read_deployment_by_name(deployment)
    return await client.create_flow_run_from_deployment(found.id, parameters={"attachments": attachments})


async def state_of(client: PrefectClient, run: UUID) -> str:
    state = (await client.read_flow_run(run)).state
    return state.name if state else ""


def lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
async def client(server: PrefectServer) -> Any:
    async with PrefectClient(server.url) as made:
        yield made


async def test_a_task_is_updated_while_it_runs(
    server: PrefectServer, client: PrefectClient, pool: str, tmp_path: Path
) -> None:
    out = tmp_path / "seen"
    run = await start(client, f"watch/{pool}", {"out_file": str(out), "frameRate": 10})

    async def started() -> bool:
        return out.exists()

    await auntil(started, 120, "the task sees its first value")

    applied = await send_update(server.url, str(run.id), {"frame_rate": 50})
    assert applied.event == messages.UPDATE_APPLIED
    assert applied.payload["revision"] == 2
    assert applied.payload["attachments"]["frameRate"] == 50

    rejected = await send_update(server.url, str(run.id), {"frame_rate": 500})
    assert rejected.event == messages.UPDATE_REJECTED
    assert rejected.payload["reason"].startswith("frameRate: Input should be less than or equal to 240")

    reverted = await send_update(server.url, str(run.id), {"frameRate": 10})
    assert reverted.payload["revision"] == 3

    stored = await client.read_flow_run(run.id)
    assert stored.parameters["attachments"]["frameRate"] == 10
    assert stored.labels[messages.REVISION_LABEL] == 3

    ended = await send_update(server.url, str(run.id), {"stop": True})
    assert ended.payload["revision"] == 4

    async def completed() -> bool:
        return await state_of(client, run.id) == "Completed"

    await auntil(completed, 90, "the task ends")
    assert [(rate, revision) for _, rate, revision in lines(out)] == [("10", "1"), ("50", "2"), ("10", "3")]

    async def finished_progress() -> bool:
        found = await client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
        )
        assert [artifact.key for artifact in found] == [f"progress-{run.id}"]
        return (found[0].data, found[0].description) == (100.0, "240 of 240: done")

    await auntil(finished_progress, 10, "the last progress")


async def test_an_async_task_refuses_with_its_own_reason(
    server: PrefectServer, client: PrefectClient, pool: str
) -> None:
    run = await start(client, f"watch-async/{pool}", {"frameRate": 10})
    refused = await send_update(server.url, str(run.id), {"frameRate": 200}, seconds=120)
    assert refused.payload["reason"] == "this lens stops at 100"
    accepted = await send_update(server.url, str(run.id), {"frameRate": 90, "stop": True})
    assert accepted.event == messages.UPDATE_APPLIED

    async def completed() -> bool:
        return await state_of(client, run.id) == "Completed"

    await auntil(completed, 90, "the task ends")


async def test_a_skalds_class_runs_its_whole_life(client: PrefectClient, pool: str, tmp_path: Path) -> None:
    out = tmp_path / "stamps"
    run = await start(client, f"Stamper/{pool}", {"outFile": str(out), "speed": 3})

    async def completed() -> bool:
        return await state_of(client, run.id) == "Completed"

    await auntil(completed, 120, "the task ends")
    assert lines(out) == [["initialize", "3"], ["before"], ["main", str(run.id)], ["after"], ["release"]]


async def test_what_main_raises_fails_the_task(client: PrefectClient, pool: str, tmp_path: Path) -> None:
    out = tmp_path / "stamps"
    run = await start(client, f"Stamper/{pool}", {"outFile": str(out), "breaks": "lens cap on"})

    async def failed() -> bool:
        return await state_of(client, run.id) == "Failed"

    await auntil(failed, 120, "the task fails")
    state = (await client.read_flow_run(run.id)).state
    assert state is not None and state.message is not None and "lens cap on" in state.message
    assert lines(out)[-1] == ["release"]


async def test_a_skalds_class_is_updated_and_releases_when_cancelled(
    server: PrefectServer, client: PrefectClient, pool: str, tmp_path: Path
) -> None:
    out = tmp_path / "stamps"
    run = await start(client, f"Stamper/{pool}", {"outFile": str(out), "seconds": 60})

    async def in_main() -> bool:
        return any(line[0] == "main" for line in lines(out))

    await auntil(in_main, 120, "the task is in main")
    applied = await send_update(server.url, str(run.id), {"speed": 9})
    assert applied.event == messages.UPDATE_APPLIED
    assert ["update", "9"] in lines(out)

    await client.set_flow_run_state(run.id, Cancelling(), force=True)

    async def released() -> bool:
        return lines(out)[-1] == ["release", "15"]

    await auntil(released, 90, "the release handler gets the signal")

    async def cancelled() -> bool:
        return await state_of(client, run.id) == "Cancelled"

    await auntil(cancelled, 90, "the task is cancelled")


async def test_the_server_refuses_wrong_attachments_and_names_them(client: PrefectClient, pool: str) -> None:
    with pytest.raises(Exception, match="frameRat"):
        await start(client, f"watch/{pool}", {"frameRat": 1})
    with pytest.raises(Exception, match="'many'"):
        await start(client, f"watch/{pool}", {"frame_rate": "many"})


async def test_the_form_is_made_from_the_model(client: PrefectClient, pool: str) -> None:
    deployment = await client.read_deployment_by_name(f"watch/{pool}")
    fields = deployment.parameter_openapi_schema["definitions"]["Watch"]["properties"]
    assert fields["frameRate"] == {
        "type": "integer",
        "title": "Frame Rate",
        "description": "Frames a second.",
        "default": 25,
        "minimum": 1,
        "maximum": 240,
    }
    flow: Flow = await client.read_flow(deployment.flow_id)
    assert flow.name == "watch"


def test_a_direct_call_is_a_run_of_its_own(server: PrefectServer, tmp_path: Path) -> None:
    out = tmp_path / "stamps"
    code = (
        "from workers import Data, stamper, Stamper\n"
        f"stamper(Data(outFile={str(out)!r}))\n"
        f"stamper(attachments={{'out_file': {str(out)!r}}})\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=server.client_env, check=True, timeout=120)
    assert [line[0] for line in lines(out)] == ["initialize", "before", "main", "after", "release"] * 2


async def test_a_served_task_type_runs(server: PrefectServer, client: PrefectClient, tmp_path: Path) -> None:
    name, out = f"served-{uuid4().hex[:8]}", tmp_path / "stamps"
    script = tmp_path / "serving.py"
    script.write_text(
        (PROJECT / "workers.py").read_text()
        + f"\nif __name__ == '__main__':\n    stamper.serve({name!r}, pause_on_shutdown=False)\n"
    )
    env = {"PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    with running(server, [sys.executable, str(script)], tmp_path / "serve.log", env=env, cwd=tmp_path):

        async def deployed() -> bool:
            try:
                return bool(await client.read_deployment_by_name(f"Stamper/{name}"))
            except Exception:
                return False

        await auntil(deployed, 90, "the deployment")
        run = await start(client, f"Stamper/{name}", {"outFile": str(out)})

        async def completed() -> bool:
            return await state_of(client, run.id) == "Completed"

        await auntil(completed, 120, "the served task ends")
    assert [line[0] for line in lines(out)] == ["initialize", "before", "main", "after", "release"]
