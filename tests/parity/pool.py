"""A work pool with its worker, stock or node, as a user starts it, and what a user does with it over the API."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil

from tests.services.leashed import leashed
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer

STOCK, NODE = "process", "skald"
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
SETTINGS = {
    STOCK: {"PREFECT_WORKER_QUERY_SECONDS": "1"},
    NODE: {"SKALD_CANCEL_GRACE": "5", "SKALD_GRACE": "1"},
}
LOOK_SECONDS = 0.4


class Api:
    """The server's REST API, for many threads at once."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=90)

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of the answer; an AssertionError carries a refusal."""
        deadline = time.monotonic() + 90
        while True:
            answer = self._http.request(method, path, json=body)
            # SQLite is locked now and then: clients try again.
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                break
            time.sleep(LOOK_SECONDS)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def close(self) -> None:
        self._http.close()


class Watch:
    """Asks for all runs that somebody waits for at once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._waiting: set[str] = set()
        self._ended: dict[str, str] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self._thread.start()

    def ended(self, run: str, deadline: float) -> bool:
        """Whether the run has ended before ``deadline`` on the monotonic clock."""
        with self._changed:
            self._waiting.add(run)
            self._changed.wait_for(lambda: run in self._ended, max(0.0, deadline - time.monotonic()))
            self._waiting.discard(run)
            return run in self._ended

    def close(self) -> None:
        self._closed = True
        self._thread.join(30)

    def _look(self) -> None:
        while not self._closed:
            time.sleep(LOOK_SECONDS)
            with self._changed:
                asked = sorted(self._waiting - self._ended.keys())[:200]
            if not asked:
                continue
            with contextlib.suppress(AssertionError, httpx.HTTPError):
                found = self._api("POST", "/flow_runs/filter", {"flow_runs": {"id": {"any_": asked}}})
                with self._changed:
                    self._ended.update(
                        {run["id"]: run["state_name"] for run in found if run["state_type"] in ENDED}
                    )
                    self._changed.notify_all()


class Pool:
    """``kind`` is the pool's type; ``folder`` is where its worker runs and the cases' copies lie."""

    def __init__(self, kind: str, server: PrefectServer, api: Api, folder: Path) -> None:
        self.kind, self.server, self.api, self.folder = kind, server, api, folder
        self.name = f"parity-{kind}-{uuid4().hex[:6]}"
        self.log = folder / "worker.log"
        self.pid = 0
        folder.mkdir(parents=True)
        body: dict[str, Any] = {"name": self.name, "type": kind}
        if kind == NODE:
            from skald_work_pools.worker import SkaldWorker

            body["base_job_template"] = SkaldWorker.get_default_base_job_template()
        else:
            from prefect.workers.process import ProcessWorker

            body["base_job_template"] = ProcessWorker.get_default_base_job_template()
        api("POST", "/work_pools/", body)

    @contextlib.contextmanager
    def worker(self) -> Iterator[None]:
        """Up and known to Prefect; it and all it has started are gone afterwards."""
        command = [sys.executable, "-m", "prefect", "worker", "start", "--type", self.kind]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                leashed([*command, "--pool", self.name, "--name", self.name]),
                env={
                    **self.server.client_env,
                    "SKALD_HOME": str(self.folder / "home"),
                    # Python takes a file edited within the second for the compiled one: no fault of a worker.
                    "PYTHONDONTWRITEBYTECODE": "1",
                    **SETTINGS[STOCK],
                    **SETTINGS[NODE],
                },
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = process.pid
        try:
            until(lambda: self._up(process), 90, f"a {self.kind} worker; its log: {self.log}")
            yield
        finally:
            _end(process)

    def deploy(self, flow: str, name: str, entrypoint: str, folder: str, job: dict[str, Any]) -> str:
        """Id of a new deployment whose one pull step is ``set_working_directory``."""
        made = self.api("POST", "/flows/", {"name": flow})
        body = {
            "name": f"{name}-{self.kind}",
            "flow_id": made["id"],
            "work_pool_name": self.name,
            "enforce_parameter_schema": False,
            **_told(entrypoint, folder, job),
        }
        return str(self.api("POST", "/deployments/", body)["id"])

    def redeploy(self, deployment: str, entrypoint: str, folder: str, job: dict[str, Any]) -> None:
        self.api("PATCH", f"/deployments/{deployment}", _told(entrypoint, folder, job))

    def run(self, deployment: str, parameters: dict[str, Any], job: dict[str, Any]) -> str:
        body = {"parameters": parameters, "job_variables": job, "state": {"type": "SCHEDULED"}}
        return str(self.api("POST", f"/deployments/{deployment}/create_flow_run", body)["id"])

    def cancel(self, run: str) -> None:
        state = {"type": "CANCELLING", "name": "Cancelling"}
        self.api("POST", f"/flow_runs/{run}/set_state", {"state": state})

    def working(self, runs: set[str]) -> bool:
        """Whether a process below the worker has the id of one of these runs in its environment."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in psutil.Process(self.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if each.environ().get("PREFECT__FLOW_RUN_ID") in runs:
                        return True
        return False

    def _up(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, self.log.read_text()[-3000:]
        found = self.api("POST", f"/work_pools/{self.name}/workers/filter", {})
        return any(each["status"] == "ONLINE" for each in found)


def _told(entrypoint: str, folder: str, job: dict[str, Any]) -> dict[str, Any]:
    step = {"prefect.deployments.steps.set_working_directory": {"directory": folder}}
    return {"entrypoint": entrypoint, "path": folder, "pull_steps": [step], "job_variables": job}


def _end(process: subprocess.Popen[bytes]) -> None:
    left: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        left = psutil.Process(process.pid).children(recursive=True)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    for each in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(left, timeout=5)
