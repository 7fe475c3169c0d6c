"""A pool, deployments of the test project and nodes as a user starts them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil

from tests.services.http import request
from tests.services.leashed import leashed
from tests.services.poll import STEP, until
from tests.services.prefect_cli import hurry
from tests.services.prefect_server import PrefectServer

PROJECT = Path(__file__).parent / "project"
CHECKOUT = Path(__file__).parents[3]


@dataclass
class Bench:
    """``folder`` is where the flows leave their marks, ``project`` a copy of their code."""

    server: PrefectServer
    folder: Path
    pool: str = field(default_factory=lambda: f"pool-{uuid4().hex[:8]}")
    home: Path = field(init=False)
    project: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.home = self.folder / "home"
        self.project = self.folder / "code"
        shutil.copytree(PROJECT, self.project)
        source = (self.project / "tasks.py").read_text()
        (self.project / "tasks.py").write_text(
            source.replace("from tests.integration.node.project.constants", "from constants")
        )
        from skald_work_pools.worker import SkaldWorker

        template = SkaldWorker.get_default_base_job_template()
        self.api("POST", "/work_pools/", {"name": self.pool, "type": "skald", "base_job_template": template})

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON that the server answers; an AssertionError carries a refusal."""
        deadline = time.monotonic() + 90
        while True:
            answer = request(method, f"{self.server.url}{path}", json=body, timeout=90)
            # SQLite is locked now and then: clients try again.
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                break
            time.sleep(STEP)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def deploy(self, entrypoint: str, **more: Any) -> str:
        """Id of a new deployment of ``tasks.py:ENTRYPOINT`` (or another file's)."""
        if ":" not in entrypoint:
            entrypoint = f"tasks.py:{entrypoint}"
        name = entrypoint.rpartition(":")[2]
        flow = self.api("POST", "/flows/", {"name": f"{name}-{self.pool}"})
        body = {
            "name": f"{name}-{uuid4().hex[:8]}",
            "flow_id": flow["id"],
            "work_pool_name": self.pool,
            "path": str(self.project),
            "entrypoint": entrypoint,
            **more,
        }
        return str(self.api("POST", "/deployments/", body)["id"])

    def run(self, deployment: str, marks: Path | None = None, **more: Any) -> str:
        """Id of a new run whose parameter ``folder`` is ``marks``."""
        body = {"parameters": {"folder": str(marks)} if marks else {}, **more}
        body.setdefault("state", {"type": "SCHEDULED"})
        return str(self.api("POST", f"/deployments/{deployment}/create_flow_run", body)["id"])

    def marks(self) -> Path:
        """A new folder for one run's marks."""
        made = self.folder / uuid4().hex[:8]
        made.mkdir()
        return made

    def read(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api("GET", f"/flow_runs/{run}")
        return found

    def reaches(self, run: str, *names: str, seconds: float = 60) -> dict[str, Any]:
        """The run once its state has one of these names."""
        with contextlib.suppress(AssertionError):
            return until(
                lambda: found if (found := self.read(run))["state"]["name"] in names else {}, seconds, ""
            )
        states = [(state["name"], state["message"]) for state in self.states(run)]
        raise AssertionError(
            f"run {run} is not {' or '.join(names)}: {states}\n{self.logs(run)}\n{self.tails()}"
        )

    def propose(self, run: str, force: bool = False, **state: Any) -> None:
        self.api("POST", f"/flow_runs/{run}/set_state", {"state": state, "force": force})

    def states(self, run: str) -> list[dict[str, Any]]:
        """Oldest first."""
        found: list[dict[str, Any]] = self.api("GET", f"/flow_run_states/?flow_run_id={run}")
        return sorted(found, key=lambda state: str(state["timestamp"]))

    def names(self, run: str) -> list[str]:
        """Names of the run's states, oldest first."""
        return [str(state["name"]) for state in self.states(run)]

    def logs(self, run: str) -> str:
        body = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC"}
        return "\n".join(f"{log['name']}: {log['message']}" for log in self.api("POST", "/logs/filter", body))

    def says(self, run: str, text: str, seconds: float = 30) -> str:
        """The run's log once it has the text."""
        return until(lambda: log if text in (log := self.logs(run)) else "", seconds, f"{text!r} in its log")

    def tails(self) -> str:
        return "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in self.folder.glob("node-*.log"))

    @contextlib.contextmanager
    def node(self, *options: str, name: str = "", **env: str) -> Iterator[Node]:
        """A node that Prefect hears; gone with all it started afterwards."""
        node = Node(self, name or f"node-{uuid4().hex[:6]}", options, env)
        node.start()
        try:
            yield node
        finally:
            node.end()


class Node:
    """``prefect worker start`` on a bench's pool."""

    def __init__(self, bench: Bench, name: str, options: tuple[str, ...], env: dict[str, str]) -> None:
        self.bench, self.name, self.options, self.env = bench, name, options, env
        self.log = bench.folder / f"node-{name}.log"
        self.process: subprocess.Popen[bytes]

    def launch(self) -> None:
        command = [sys.executable, "-m", "prefect", "worker", "start", "--type", "skald"]
        env = {
            **self.bench.server.client_env,
            "SKALD_HOME": str(self.bench.home),
            "PYTHONPATH": str(CHECKOUT),
            **self.env,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                leashed([*command, "--pool", self.bench.pool, "--name", self.name, *self.options]),
                env=env,
                cwd=self.bench.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self) -> None:
        self.launch()
        until(self._up, 60, f"node {self.name}: {self.log.read_text()[-2000:]}")

    def _up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        return "started!" in self.log.read_text()

    def descendants(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def end(self) -> None:
        """SIGTERM, a second one, and SIGKILL for what is left."""
        left = self.descendants()
        hurry(self.process)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def appears(path: Path, seconds: float = 30) -> str:
    """The mark's text, once it is there."""
    until(path.exists, seconds, f"the mark {path.name}")
    return path.read_text()


def gone(pid: int | str, seconds: float = 10) -> None:
    """Wait until the process has ended."""
    until(lambda: not _alive(int(pid)), seconds, f"process {pid} has ended")


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
