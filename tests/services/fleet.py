"""A Prefect server, a ``skald`` pool, a user's project deployed to it and a node that serves it."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.services.forked_cli import forked_prefect
from tests.services.http import request
from tests.services.poll import until
from tests.services.prefect_cli import prefect, running
from tests.services.prefect_server import PrefectServer

PROJECT = Path(__file__).parents[1] / "integration" / "prefect_user" / "project"
POOL_TYPE = "skald"
IMPATIENT = {
    "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_RUNS": "2",
    "PREFECT_SERVER_SERVICES_SCHEDULER_MAX_RUNS": "3",
    "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME": "PT10S",
}
"""Server settings that cut short the waits of Prefect's own services."""


@dataclass
class Fleet:
    """``folder`` is the test's own; ``nodes`` are processes by name, their logs lie in it."""

    server: PrefectServer
    folder: Path
    pool: str
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def cli(self, *arguments: str) -> str:
        """What ``prefect ARGUMENTS`` printed, in the project's folder."""
        return prefect(self.server, *arguments, cwd=self.folder)

    def prepare(self, *arguments: str) -> str:
        """``cli`` for what a test needs and does not ask about: the same, sooner."""
        return forked_prefect(self.server, *arguments, cwd=self.folder)

    def api(self, method: str, path: str, body: Any = None, timeout: float = 120) -> Any:
        """The JSON that the server answers; an AssertionError carries a refusal."""
        for _ in range(10):
            answer = request(method, f"{self.server.url}{path}", json=body, timeout=timeout)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:  # SQLite was locked: clients try again
                break
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def deployment(self, name: str) -> dict[str, Any]:
        """The deployment ``FLOW/NAME``."""
        found: dict[str, Any] = self.api("GET", f"/deployments/name/{name}")
        return found

    def run(self, name: str, attachments: dict[str, Any] | None = None, **more: Any) -> str:
        """Id of a new run of the deployment ``FLOW/NAME``, as the UI creates it."""
        parameters = {} if attachments is None else {"attachments": attachments}
        body = {"state": {"type": "SCHEDULED"}, "parameters": parameters, **more}
        return str(
            self.api("POST", f"/deployments/{self.deployment(name)['id']}/create_flow_run", body)["id"]
        )

    def read(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api("GET", f"/flow_runs/{run}")
        return found

    def state(self, run: str) -> str:
        """The name of the run's state."""
        return str((self.read(run)["state"] or {}).get("name"))

    def reaches(self, run: str, *names: str, seconds: float = 60) -> dict[str, Any]:
        """The run once its state has one of these names."""

        def there() -> dict[str, Any] | None:
            found = self.read(run)
            return found if found["state"]["name"] in names else None

        with contextlib.suppress(AssertionError):
            found = until(there, seconds, "")
            assert found is not None
            return found
        states = [(state["name"], state["message"]) for state in self.states(run)]
        raise AssertionError(
            f"run {run} is not {' or '.join(names)}: {states}\n{self.logs(run)}\n{self.tails()}"
        )

    def states(self, run: str) -> list[dict[str, Any]]:
        """The run's states, oldest first."""
        found: list[dict[str, Any]] = self.api("GET", f"/flow_run_states/?flow_run_id={run}")
        return sorted(found, key=lambda state: str(state["timestamp"]))

    def runs(self, name: str) -> list[dict[str, Any]]:
        """All runs of the deployment ``FLOW/NAME``."""
        chosen = {"deployments": {"id": {"any_": [self.deployment(name)["id"]]}}}
        found: list[dict[str, Any]] = self.api("POST", "/flow_runs/filter", chosen)
        return found

    def logs(self, run: str) -> str:
        """The run's log in Prefect."""
        found = self.api(
            "POST", "/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC"}
        )
        return "\n".join(f"{record['name']}: {record['message']}" for record in found)

    def tails(self) -> str:
        """The ends of the nodes' own logs."""
        return "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in self.folder.glob("node-*.log"))

    @contextlib.contextmanager
    def node(
        self, name: str, *options: str, env: dict[str, str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A node, as a Prefect user starts a worker; online in Prefect when entered."""
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", self.pool, "--name", name]
        log = self.folder / f"node-{name}.log"
        own = {"SKALD_HOME": str(self.folder / "skald"), **(env or {})}
        with running(
            self.server, [*command, "--type", POOL_TYPE, *options], log, env=own, cwd=self.folder
        ) as process:
            self.nodes[name] = process
            until(lambda: self.online(name, process, log), 60, f"node {name} online; its log: {log}")
            yield process

    def online(self, name: str, process: subprocess.Popen[bytes], log: Path) -> bool:
        assert process.poll() is None, log.read_text()[-3000:]
        workers = self.api("POST", f"/work_pools/{self.pool}/workers/filter", {})
        return any(worker["name"] == name and worker["status"] == "ONLINE" for worker in workers)


@contextlib.contextmanager
def fleet(
    server: PrefectServer,
    folder: Path,
    deployments: list[dict[str, Any]],
    node: tuple[str, ...] | None = (),
) -> Iterator[Fleet]:
    """A pool with these deployments of the project's flows and a node started with the options ``node``.

    An entry is one of ``prefect.yaml``, without its ``work_pool`` unless it says more than the pool's name.
    """
    made = Fleet(server, folder, f"pool-{uuid4().hex[:8]}")
    shutil.copy(PROJECT / "jobs.py", folder / "jobs.py")
    entries = [
        {**entry, "work_pool": {"name": made.pool, **entry.get("work_pool", {})}} for entry in deployments
    ]
    pull = [{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}]
    (folder / "prefect.yaml").write_text(json.dumps({"pull": pull, "deployments": entries}))
    made.prepare("work-pool", "create", made.pool, "--type", POOL_TYPE)
    for queue in sorted(
        {entry["work_pool"].get("work_queue_name", "default") for entry in entries} - {"default"}
    ):
        made.prepare("work-queue", "create", queue, "--pool", made.pool)
    made.prepare("deploy", "--all")
    with contextlib.ExitStack() as stack:
        if node is not None:
            stack.enter_context(made.node("node-1", *node))
        yield made
