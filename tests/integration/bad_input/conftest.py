"""A user's project on a Prefect server: one task type, deployed by ``skald`` to a pool of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.services.http import request
from tests.services.leashed import leashed
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer
from tests.services.skald_cli import SKALD, Answer, skald, skald_environment

FLOW = """
from pydantic import Field, model_validator
from skald_bridge.authoring import Attachments, live, task_type
from skald_work_pools.needs import Needs


class Job(Attachments):
    frame_rate: int = Field(30, ge=1, le=240)
    source: str = "a"
    target: str = "b"
    until: str | None = None

    @model_validator(mode="after")
    def differ(self):
        if self.source == self.target:
            raise ValueError("target: is the same as source; give it another name")
        return self


@task_type(name="NAME", needs=Needs(gpus=GPUS))
def job(attachments: Job) -> int:
    if attachments.until:
        from pathlib import Path
        import time
        updates = live(attachments)
        while not Path(attachments.until).exists():
            updates.current
            time.sleep(0.05)
    return attachments.frame_rate
"""


@dataclass(frozen=True)
class Project:
    """``name`` is the task type's, its flow's and its pool's."""

    server: PrefectServer
    folder: Path
    name: str

    @property
    def env(self) -> dict[str, str]:
        return {"PREFECT_API_URL": self.server.url}

    def skald(self, *arguments: str) -> Answer:
        return skald(*arguments, home=self.folder / "home", cwd=self.folder, env=self.env)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """The server's answer; a busy SQLite's 503 is asked again, as Prefect's own client does."""

        def asked() -> httpx.Response | None:
            reply = request(method, f"{self.server.url}{path}", json=body, timeout=30)
            return None if reply.status_code == 503 else reply

        reply = until(asked, 60, f"an answer to {method} {path}")
        assert reply is not None
        assert reply.is_success, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply.json()

    def run(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api("GET", f"/flow_runs/{run}")
        return found

    def in_state(self, run: str, kind: str) -> dict[str, Any]:
        """The run, once its state is of this type."""

        def there() -> dict[str, Any] | None:
            found = self.run(run)
            return found if found["state_type"] == kind else None

        found = until(there, 60, f"run {run} is {kind}")
        assert found is not None
        return found

    def node_of(self, task: str) -> str:
        """The node that ran the task; told soon after its start, not before it."""
        return str(
            until(
                lambda: json.loads(self.skald("task", task, "--json").out)["node"], 60, f"the node of {task}"
            )
        )

    def runs(self) -> list[dict[str, Any]]:
        mine = {"flows": {"name": {"any_": [self.name]}}}
        found: list[dict[str, Any]] = self.api("POST", "/flow_runs/filter", mine)
        return found

    def create_unchecked(
        self, parameters: Mapping[str, Any], job_variables: Mapping[str, Any] | None = None
    ) -> str:
        """A run whose parameters Prefect was told not to look at."""
        (deployment,) = self.api("POST", "/deployments/filter", {"flows": {"name": {"any_": [self.name]}}})
        made = self.api(
            "POST",
            f"/deployments/{deployment['id']}/create_flow_run",
            {
                "parameters": dict(parameters),
                "enforce_parameter_schema": False,
                "job_variables": dict(job_variables or {}),
            },
        )
        return str(made["id"])

    @contextlib.contextmanager
    def node(self, name: str, own: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """``skald node``, online when entered."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                leashed([*SKALD, "node", "--pool", self.name, "--name", name, "--grace", "1"]),
                env=skald_environment(self.folder / "home", {**self.env, **(own or {})}),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

        def online() -> bool:
            assert process.poll() is None, log.read_text()[-3000:]
            found = self.api("POST", f"/work_pools/{self.name}/workers/filter", {})
            return any(worker["name"] == name and worker["status"] == "ONLINE" for worker in found)

        try:
            until(online, 60, f"node {name} online; its log: {log}")
            yield process
        finally:
            process.terminate()
            process.wait(60)


def made_project(server: PrefectServer, folder: Path, *, gpus: int = 0) -> Project:
    name = f"job-{uuid4().hex[:8]}"
    (folder / "jobs.py").write_text(FLOW.replace("NAME", name).replace("GPUS", str(gpus)))
    entry = {"name": name, "entrypoint": "jobs.py:job", "work_pool": {"name": name}}
    (folder / "prefect.yaml").write_text(json.dumps({"deployments": [entry]}))
    project = Project(server, folder, name)
    for command in (("pool", name), ("deploy", ".")):
        answer = project.skald(*command)
        assert answer.code == 0, answer
    return project


@pytest.fixture(scope="module")
def project(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One for all tests of a module: each looks at its own tasks."""
    return made_project(server, tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def nine_gpu_project(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return made_project(server, tmp_path_factory.mktemp("nine-gpus"), gpus=9)
