"""One side of a case: its folder copied, its steps done, and what its flows saw read."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from tests.parity.case import FILE, Case, Deployment, Step, filled
from tests.parity.judge import Seen
from tests.parity.pool import NODE, STOCK, Pool, Watch
from tests.services.leashed import leashed
from tests.services.poll import until

INFRASTRUCTURE = ("prefect.flow_runs.worker", "prefect.flow_runs.runner", "prefect.worker", "skald")
"""Loggers of the side itself: what they say of a run is theirs."""
PULLING = (
    "Running 1 deployment pull step",
    "Executing deployment step",
    "Deployment step ",
    "All deployment steps",
    "Changing working directory to",
    "Importing flow code from",
    "Started flow run heartbeat",
    "Stopped flow run heartbeat",
)
"""What Prefect logs of fetching the code, which a node has, and of heartbeats, which are the node's."""
ERROR = 40
LIGHT = {"code", "output"}
"""Kinds where the stock worker is told its own command: one fresh interpreter a run instead of two, but it imports in
another thread, which these do not ask about."""
START = os.environ.get("PARITY_START")
"""The way to start of every deployment on the node that says none itself."""
SUBMITTING = "Submitting"
"""A worker's second kind of Pending; a node has none."""
REST_SECONDS = 20
STOCK_SECONDS = 240
"""A stock run that is slow is slow because the machine is busy: it never hangs."""
OUTPUT = ("stdout", "stderr")


@dataclass(frozen=True)
class Run:
    label: str
    id: str
    out: Path
    endless: bool = False


class Play:
    """``case`` on ``pool``; use it as a context manager, which ends what it has started."""

    def __init__(self, case: Case, pool: Pool, watch: Watch) -> None:
        self.case, self.pool, self.watch = case, pool, watch
        self.id = f"x{uuid4().hex[:8]}"
        self.folder = pool.folder / "cases" / f"{case.name.replace('/', '-')}-{self.id}"
        self.project = self.folder / "project"
        self.texts = {"@id@": self.id, "@project@": str(self.project)}
        self.seconds = max(case.seconds, STOCK_SECONDS) if pool.kind == STOCK else case.seconds
        self.runs: list[Run] = []
        self.stopped = ""
        self._newest: list[Seen] = []
        self._deployments: dict[str, str] = {}
        self._blocks: dict[str, str] = {}
        self._ending = contextlib.ExitStack()

    def __enter__(self) -> Play:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()
        for run in self.runs:
            for name in self.case.gone:
                for pid in _ids(run.out / name):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        psutil.Process(pid).kill()

    def perform(self) -> None:
        """Do the steps; the first run that does not end in time is the last."""
        ignored = shutil.ignore_patterns(FILE, "__pycache__")
        shutil.copytree(self.case.folder, self.project, ignore=ignored, symlinks=True)
        for step in self.case.steps:
            getattr(self, f"_{step.kind}")(filled(step.what, self.texts), self._more(step))
            if self.stopped:
                return
        self._end(True, {})

    def rest(self) -> None:
        """Wait until the stock worker has no process left for these runs: then logs are sent and hooks have run."""
        with contextlib.suppress(AssertionError):
            until(lambda: not self.pool.working({run.id for run in self.runs}), REST_SECONDS, "rest")

    def seen(self) -> list[Seen]:
        """What every run saw, as far as it is known now."""
        self._newest = [self._seen(run) for run in self.runs]
        return self._newest

    def keep(self) -> None:
        """Write what was seen last beside the folder, for whoever asks why."""
        told = {run.run: run.fields for run in self._newest}
        (self.folder / "seen.json").write_text(json.dumps(told, indent=1, sort_keys=True))

    def _more(self, step: Step) -> dict[str, Any]:
        more = filled(step.more, self.texts)
        assert isinstance(more, dict)
        return more

    def _run(self, deployment: str, more: dict[str, Any]) -> None:
        for _ in range(more.get("times", 1) + (more.get("again", 0) if self.pool.kind == NODE else 0)):
            number = len(self.runs) + 1
            out = self.folder / "out" / str(number)
            out.mkdir(parents=True)
            job = {"env": more["env"]} if "env" in more else {}
            parameters = {"out": str(out), **more.get("parameters", {})}
            run = self.pool.run(self._deployment(deployment), parameters, job)
            told = " ".join([deployment, *map(str, more.get("parameters", {}).values())])
            self.runs.append(Run(f"run {number} ({told})", run, out, bool(more.get("endless"))))
            waited = more.get("await", "end")
            if waited == "end":
                self._wait_for(self.runs[-1])
            elif waited != "nothing":
                self._wait_for_file(out / waited)
            if self.stopped:
                return

    def _deployment(self, key: str) -> str:
        if key not in self._deployments:
            told = self.case.deployments[key]
            name = self.case.name.replace("/", "-")
            self._deployments[key] = self.pool.deploy(
                name, f"{key}-{self.id}", told.entrypoint, self._folder(told), self._job(told)
            )
        return self._deployments[key]

    def _redeploy(self, key: str, more: dict[str, Any]) -> None:
        told = replace(self.case.deployments[key], **more)
        self.pool.redeploy(self._deployment(key), told.entrypoint, self._folder(told), self._job(told))

    def _folder(self, told: Deployment) -> str:
        return os.path.normpath(self.project / str(filled(told.folder, self.texts)))

    def _job(self, told: Deployment) -> dict[str, Any]:
        job = {**filled(told.job_variables, self.texts), "env": filled(told.env, self.texts)}
        if self.pool.kind == STOCK and self.case.kind in LIGHT:
            job["command"] = f"{sys.executable} -m prefect.engine"
        if self.pool.kind == NODE and START:
            job.setdefault("start", START)
        return job

    def _wait_for(self, run: Run) -> None:
        if not self.watch.ended(run.id, time.monotonic() + self.seconds) and not self.stopped:
            self._stop(f"{run.label} did not end within {self.seconds:g} s")

    def _wait_for_file(self, path: Path) -> None:
        try:
            until(lambda: _written(path), self.seconds, "")
        except AssertionError:
            self._stop(f"{self.runs[-1].label} has left no {path.name} within {self.seconds:g} s")

    def _stop(self, why: str) -> None:
        self.stopped = why
        self._ending.callback(self._give_up)

    def _give_up(self) -> None:
        for run in self.runs:
            with contextlib.suppress(AssertionError):
                self.pool.cancel(run.id)

    def _end(self, _: object, __: object) -> None:
        for run in self.runs:
            if not (run.endless and self.pool.kind == STOCK):
                self._wait_for(run)

    def _sh(self, command: str, _: object) -> None:
        done = subprocess.run(
            ["/bin/bash", "-euc", command], cwd=self.project, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def _write(self, path: str, more: dict[str, Any]) -> None:
        (self.project / path).write_text(more["text"])

    def _variable(self, name: str, more: dict[str, Any]) -> None:
        body = {"name": name, "value": more["value"]}
        found = self.pool.api("POST", "/variables/filter", {"variables": {"name": {"any_": [name]}}})
        if found:
            self.pool.api("PATCH", f"/variables/{found[0]['id']}", body)
        else:
            self.pool.api("POST", "/variables/", body)

    def _secret(self, name: str, more: dict[str, Any]) -> None:
        data = {"value": more["value"]}
        if name in self._blocks:
            self.pool.api("PATCH", f"/block_documents/{self._blocks[name]}", {"data": data})
            return
        kind = self.pool.api("GET", "/block_types/slug/secret")["id"]
        schemas = self.pool.api(
            "POST", "/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [kind]}}}
        )
        body = {"name": name, "data": data, "block_type_id": kind, "block_schema_id": schemas[0]["id"]}
        self._blocks[name] = self.pool.api("POST", "/block_documents/", body)["id"]

    def _serve(self, script: str, _: object) -> None:
        self._ending.enter_context(_served(self.project, script, self.folder / "server.log"))

    def _cancel(self, number: int, _: object) -> None:
        self.pool.cancel(self.runs[number - 1].id)

    def _seen(self, run: Run) -> Seen:
        states = self.pool.api("GET", f"/flow_run_states/?flow_run_id={run.id}")
        states.sort(key=lambda state: str(state["timestamp"]))
        left = self._left(run)
        fields: dict[str, Any] = {
            "state": states[-1]["name"] if not self.stopped or run is not self.runs[-1] else self.stopped,
            "states": [state["name"] for state in states if state["name"] != SUBMITTING],
            **left,
        }
        name = self.pool.api("GET", f"/flow_runs/{run.id}")["name"]
        if "message" in self.case.compare:
            fields["message"] = states[-1]["message"]
        logs = self._logs(run)
        own = [log for log in logs if not log["name"].startswith(INFRASTRUCTURE)]
        own = [log for log in own if log["name"] not in OUTPUT and not log["message"].startswith(PULLING)]
        fields["errors"] = [_first_line(log["message"]) for log in own if log["level"] >= ERROR]
        if "log" in self.case.compare:
            fields["log"] = [f"{log['name']} {log['level']} {_first_line(log['message'])}" for log in own]
        if "output" in self.case.compare:
            fields["output"] = self._output(run, logs)
        return Seen(run.label, _flat(self._plain(fields, run, name)), bool(left))

    def _left(self, run: Run) -> dict[str, Any]:
        """Fields from the files that the run has left."""
        made: dict[str, Any] = {}
        for path in sorted(run.out.rglob("*")):
            name = path.relative_to(run.out).as_posix()
            if path.is_dir() or name.endswith(".new"):
                continue
            if name in self.case.gone:
                made[name] = "gone" if self.pool.kind != NODE else _life(_ids(path))
            elif name.endswith(".json"):
                with contextlib.suppress(ValueError):
                    made.update(json.loads(path.read_text()))
            else:
                made[name] = path.read_text(errors="backslashreplace")
        return made

    def _logs(self, run: Run) -> list[dict[str, Any]]:
        """The first and the last 200 records."""
        made: dict[str, dict[str, Any]] = {}
        for sort in ("TIMESTAMP_ASC", "TIMESTAMP_DESC"):
            body = {"logs": {"flow_run_id": {"any_": [run.id]}}, "sort": sort, "limit": 200}
            page = self.pool.api("POST", "/logs/filter", body)
            made.update({log["id"]: log for log in page})
            if len(page) < 200:
                break
        return sorted(made.values(), key=lambda log: str(log["timestamp"]))

    def _output(self, run: Run, logs: list[dict[str, Any]]) -> list[str]:
        """What the run's processes wrote as ``OUT|…|``, sorted: the first and the last 20."""
        mark = f"{run.out}|"
        if self.pool.kind == NODE:
            lines = [log["message"] for log in logs if log["name"] in OUTPUT]
        else:
            lines = self.pool.log.read_bytes().decode(errors="replace").split("\n")
        marked = sorted(part.partition("|")[0] for line in lines for part in line.split(mark)[1:])
        return marked if len(marked) <= 40 else [*marked[:20], *marked[-20:]]

    def _plain(self, fields: dict[str, Any], run: Run, name: str) -> dict[str, Any]:
        """Without what is this side's and this run's alone."""
        texts = {str(run.out): "<out>", str(self.folder): "<case>", self.id: "<id>", run.id: "<run>"}
        texts |= {name: "<name>", str(self.pool.folder): "<worker>", self.pool.name: "<pool>"}
        made = filled(fields, texts)
        assert isinstance(made, dict)
        return made


@contextlib.contextmanager
def _served(folder: Path, script: str, log: Path) -> Iterator[None]:
    with log.open("ab") as out:
        process = subprocess.Popen(
            leashed([sys.executable, script]), cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        until((folder / "ready").exists, 30, f"{script} is ready: {log.read_text()}")
        yield
    finally:
        process.kill()
        process.wait(10)


def _written(path: Path) -> bool:
    """Whether there is a whole file: one that is open for writing is there too, empty."""
    try:
        text = path.read_text()
        return path.suffix != ".json" or json.loads(text) is not None
    except (OSError, ValueError):
        return False


def _ids(path: Path) -> list[int]:
    with contextlib.suppress(OSError, ValueError):
        return [int(word) for word in path.read_text().split()]
    return []


def _life(pids: list[int]) -> str:
    if not pids:
        return "no process was named"
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                return f"{process.status()}: {' '.join(process.cmdline())[:80]}"
    return "gone"


def _flat(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Entries of nested objects as fields of their own: ``outer.inner``."""
    made: dict[str, Any] = {}
    for key, value in fields.items():
        made |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return made


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
