"""This product beside the peer: a pool with the workers' deployments, nodes and a bridge on the same services."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from skald_bridge.installation.embedded import client_environment
from skald_work_pools.devices import variable_name
from tests.services.forked_cli import forked_prefect
from tests.services.http import request
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer
from tests.services.service import Service
from tests.services.skalds_peer.world import World

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
ENTRYPOINTS = {
    "Camera": "house_flows.py:camera",
    "HouseCamera": "house_flows.py:house_camera",
    "Recorder": "house_flows.py:recorder",
}
Controller = Literal["ours", "upstream"]


class House:
    """A pool on a Prefect server, with a deployment of each class."""

    def __init__(self, world: World, server: PrefectServer, *classes: str) -> None:
        self.world, self.server = world, server
        self.classes = classes or tuple(ENTRYPOINTS)
        self.pool = f"pool-{uuid4().hex[:8]}"
        self.code = world.folder / f"code-{self.pool}"
        self.code.mkdir()
        for name in ("workers.py", "house_flows.py"):
            shutil.copy(HERE / name, self.code / name)
        pull = [{"prefect.deployments.steps.set_working_directory": {"directory": str(self.code)}}]
        entries = [
            {"name": self.pool, "entrypoint": ENTRYPOINTS[name], "work_pool": {"name": self.pool}}
            for name in self.classes
        ]
        (self.code / "prefect.yaml").write_text(json.dumps({"pull": pull, "deployments": entries}))
        forked_prefect(server, "work-pool", "create", self.pool, "--type", "skald", cwd=self.code)
        forked_prefect(server, "deploy", "--all", cwd=self.code)

    @property
    def env(self) -> dict[str, str]:
        own = {"SKALD_HOME": str(self.world.folder / "home"), "PYTHONPATH": str(ROOT)}
        return {**self.world.env, **client_environment({}, self.server.home, self.server.url), **own}

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON that Prefect answers."""
        answer = request(method, f"{self.server.url}{path}", json=body, timeout=60)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def runs(self) -> list[dict[str, Any]]:
        """Every flow run of the pool."""
        found: list[dict[str, Any]] = []
        chosen = {"work_pools": {"name": {"any_": [self.pool]}}, "limit": 200}
        while page := self.api("POST", "/flow_runs/filter", {**chosen, "offset": len(found)}):
            found += page
        return found

    def run_of(self, task: str, seconds: float = 30) -> dict[str, Any]:
        """The flow run of a task that keeps Skalds' id."""
        chosen = {"flow_runs": {"idempotency_key": {"any_": [f"skald.task:{task}"]}}}

        def found() -> dict[str, Any]:
            return next(iter(self.api("POST", "/flow_runs/filter", chosen)), {})

        return until(found, seconds, f"a run of {task}")


class HouseNode(Service):
    """``prefect worker start``; it answers once it takes work, and says of which classes."""

    name = "a node"

    def __init__(self, house: House, name: str) -> None:
        super().__init__(house.world.folder / name)
        self.house, self.called = house, name

    @property
    def ports(self) -> dict[str, int]:
        return {}

    def command(self) -> list[str]:
        env = {**self.house.env, "STAMPED_BY": self.called}
        worker = [sys.executable, "-m", "prefect", "worker", "start", "--type", "skald"]
        return ["env", *_pairs(env), *worker, "--pool", self.house.pool, "--name", self.called]

    def answers(self) -> bool:
        if "started!" not in self.said():
            return False
        answer = request(
            "GET", f"{self.house.server.url}/variables/name/{variable_name(self.house.pool, self.called)}"
        )
        return answer.is_success and set(answer.json()["value"]["task_types"]) == set(self.house.classes)

    def kill_alone(self) -> int:
        """SIGKILL for the node itself; its process id."""
        pid = self.pid
        _end(self, signal.SIGKILL, 10)
        return pid

    def end(self, how: signal.Signals = signal.SIGTERM, seconds: float = 15) -> None:
        """A signal for the node itself, and its end."""
        _end(self, how, seconds)


class HouseBridge(Service):
    """The bridge; it answers once the peer's world can see a node of ours."""

    name = "the bridge"

    def __init__(self, house: House, controller: Controller, *nodes: str, **env: str) -> None:
        super().__init__(house.world.folder / "bridge")
        self.house, self.nodes = house, nodes
        self.env = {**house.env, "SKALD_CONTROLLER": controller, **env}

    @property
    def ports(self) -> dict[str, int]:
        return {}

    def command(self) -> list[str]:
        bridge = [sys.executable, "-m", "tests.services.bridge_process", str(self.folder / "journal.db")]
        return ["env", "-C", str(ROOT), *_pairs(self.env), *bridge]

    def answers(self) -> bool:
        cache = self.house.world.cache
        return all(cache.exists(f"skalds:{node}:heartbeat") for node in self.nodes)

    def kill_alone(self) -> int:
        """SIGKILL; its process id."""
        pid = self.pid
        _end(self, signal.SIGKILL, 10)
        return pid


def _pairs(env: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in env.items()]


def _end(service: Service, how: signal.Signals, seconds: float) -> None:
    process = service.process
    assert process is not None
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, how)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
