"""prefect.yaml as a user deploys it from a copy of their own, and the pipeline over two workers."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.adapters.prefect_pool import ensure_pool
from skald_bridge.domain.ids import TaskId
from skald_bridge.installation.bundled import flows_root
from skald_bridge.media.boxes import incomplete
from skald_bridge.media.inputs import local_source
from skald_bridge.media.measure import measure
from tests.services.footage import reel
from tests.services.http import request
from tests.services.poll import until
from tests.services.prefect_cli import prefect, running
from tests.services.prefect_server import PrefectServer, running_server
from tests.services.runs import talking_to

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(400)]


class Shop:
    """A server with everything deployed from a copy of the product's folder."""

    def __init__(self, server: PrefectServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        shutil.copytree(flows_root() / "flows", folder / "flows")
        shutil.copy(flows_root() / "prefect.yaml", folder)
        with talking_to(server.url):
            for pool in ("cpu", "gpu"):
                asyncio.run(ensure_pool(pool))
        prefect(server, "deploy", "--all", cwd=folder)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        answer = request(method, f"{self.server.url}{path}", json=body, timeout=30)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def deployments(self) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self.api("POST", "/deployments/filter", {})}

    def run(self, name: str, attachments: dict[str, Any]) -> str:
        found = self.api("GET", f"/deployments/name/{name}/{name}")
        body = {"parameters": {"attachments": attachments}, "state": {"type": "SCHEDULED"}}
        return str(self.api("POST", f"/deployments/{found['id']}/create_flow_run", body)["id"])

    def state(self, run: str) -> dict[str, Any]:
        state: dict[str, Any] = self.api("GET", f"/flow_runs/{run}")["state"]
        return state

    def children(self, run: str, kind: str) -> list[dict[str, Any]]:
        body = {"flow_runs": {"parent_flow_run_id": {"any_": [run]}}, "flows": {"name": {"any_": [kind]}}}
        found: list[dict[str, Any]] = self.api("POST", "/flow_runs/filter", body)
        return found

    def update(self, run: str, changes: dict[str, Any]) -> tuple[str, int, str | None]:
        async def send() -> tuple[str, int, str | None]:
            async with PrefectEngine() as engine:
                return await engine.update(TaskId(run), changes, timeout=60)

        with talking_to(self.server.url):
            return asyncio.run(send())

    def worker(self, name: str, home: Path) -> Any:
        command = [sys.executable, "-m", "prefect", "worker", "start", "--type", "skald"]
        env = {
            "SKALD_HOME": str(home),
            "SKALD_MEDIA_ROOTS": str(reel().parent),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }
        log = self.folder / f"{name}.log"
        return running(self.server, [*command, "--pool", "cpu", "--name", name], log, env)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("copy")
    with running_server(tmp_path_factory.mktemp("prefect")) as server:
        yield Shop(server, folder)


def test_everything_deploys_and_the_pipeline_runs_on_both_nodes(shop: Shop, home: Path) -> None:
    found = shop.deployments()
    assert sorted(found) == ["analyze", "complex_job", "pipeline", "record", "transcode", "transcode-gpu"]
    assert found["transcode-gpu"]["job_variables"] == {"nvenc": 1}
    for name, each in found.items():
        (step,) = each["pull_steps"]
        assert step["prefect.deployments.steps.set_working_directory"]["directory"] == str(shop.folder)
        # What has a default for every field can be left out.
        wanted = [] if name == "complex_job" else ["attachments"]
        assert each["parameter_openapi_schema"].get("required", []) == wanted
    attachments = {"input": "reel.mp4", "partSeconds": 4, "parallel": 1, "failOnce": 2, "output": "job"}
    with shop.worker("north", home), shop.worker("south", home):
        run = shop.run("pipeline", attachments)

        def first_part_done() -> bool:
            assert shop.state(run)["type"] not in ("FAILED", "CRASHED"), shop.state(run)["message"]
            return any(each["state_type"] == "COMPLETED" for each in shop.children(run, "transcode"))

        until(first_part_done, 90, "the first part is transcoded")
        assert shop.update(run, {"look": "sepia", "label": "later"}) == ("applied", 2, None)
        outcome, _, reason = shop.update(run, {"height": 720})
        assert (outcome, reason) == ("rejected", "only look and label can change while a pipeline runs")
        until(lambda: first_part_done() and shop.state(run)["type"] == "COMPLETED", 150, "it completes")
    report = json.loads((home / "media" / "job" / "report.json").read_text())
    looks = [part["look"] for part in report["parts"]]
    assert looks[0] == "none"
    assert looks[-1] == "sepia"
    assert report["parts"][1]["attempt"] == 2
    assert {part["node"] for part in report["parts"]} <= {"north", "south"}
    assert len(measure(local_source(home / "media" / "job" / "video.mp4")).times) == 407
    colours = [each["parameters"]["attachments"]["look"] for each in shop.children(run, "transcode")]
    assert sorted(colours) == sorted(looks)


def test_a_cancelled_pipeline_cancels_its_parts(shop: Shop, home: Path) -> None:
    with shop.worker("north", home):
        run = shop.run("pipeline", {"input": "reel.mp4", "partSeconds": 16, "height": 1080, "preset": "slow"})
        until(lambda: shop.children(run, "transcode"), 60, "a part was begun")
        shop.api("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
        until(lambda: shop.state(run)["type"] == "CANCELLED", 60, "the pipeline is cancelled")

        def all_ended() -> bool:
            states = [
                each["state_type"] for kind in ("transcode", "analyze") for each in shop.children(run, kind)
            ]
            return bool(states) and all(state in ("CANCELLED", "COMPLETED") for state in states)

        until(all_ended, 60, "its parts are cancelled")


def test_a_cancelled_recording_keeps_its_last_segment(shop: Shop, home: Path) -> None:
    given = {"input": "reel.mp4", "segmentSeconds": 1, "ownSpeed": True, "output": "rec"}
    folder = home / "media" / "rec"
    with shop.worker("north", home):
        run = shop.run("record", given)
        until(lambda: list(folder.glob("*.mp4")), 60, "a first segment")
        assert shop.update(run, {"segmentSeconds": 60})[0] == "applied"
        assert shop.update(run, {"ownSpeed": False})[0] == "rejected"
        before = set(folder.glob("*.mp4"))
        shop.api("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
        until(lambda: shop.state(run)["type"] == "CANCELLED", 60, "the recording is cancelled")
    made = set(folder.glob("*.mp4"))
    assert len(made - before) == 1
    for path in made:
        assert incomplete(path) is None
        assert measure(local_source(path)).times
    assert not list((home / "media" / ".partial").glob("*.lock"))


def test_the_block_registers(server: PrefectServer) -> None:
    assert "Media Store" in prefect(server, "block", "register", "-m", "skald_blocks")
