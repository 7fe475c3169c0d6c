"""What the start bench measures of a worker."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from tests.benchmarks.prefect_api import last_end
from tests.benchmarks.workers import Worker
from tests.services.counting_proxy import counting

_IDLE_SECONDS = 8.0
_COUNTED_RUNS = 10


@dataclass(frozen=True)
class Sample:
    """Seconds from just before the create call of one no-op run; ``None`` where the run had no such state."""

    pending: float | None
    running: float | None
    user_code: float
    completed: float


@dataclass(frozen=True)
class Burst:
    """``per_second``: completed runs over the time from the first create call to the last end."""

    runs: int
    completed: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.completed / self.seconds


@dataclass(frozen=True)
class Memory:
    """PSS in bytes while a run sleeps: its own process, and the processes between it and the worker."""

    run: int
    supervisors: int


@dataclass(frozen=True)
class Requests:
    """Requests that one run adds to the worker's idle ones (a websocket counts as one), and the idle rate."""

    per_run: float
    idle_per_second: float
    kinds: Mapping[str, float]


def sample(worker: Worker, deployment: str = "") -> Sample:
    """Of a no-op, or of another deployment's run."""
    run, created = worker.api.create(deployment or worker.noop, {"stamps": str(worker.stamps)})
    began = worker.stamp(run).at
    ended = worker.api.ended([run], 60)
    assert ended[0]["state_type"] == "COMPLETED", ended[0]["state"]
    stamps = {state["type"]: datetime.fromisoformat(state["timestamp"]) for state in worker.api.states(run)}
    times = {kind: stamp.timestamp() - created for kind, stamp in stamps.items()}
    worker.settle()
    return Sample(times.get("PENDING"), times.get("RUNNING"), began - created, times["COMPLETED"])


def burst(worker: Worker, count: int) -> Burst:
    created = [worker.api.create(worker.noop, {"stamps": str(worker.stamps)}) for _ in range(count)]
    ended = worker.api.ended([run for run, _ in created], 60 + 6 * count)
    worker.settle()
    completed = [run for run in ended if run["state_type"] == "COMPLETED"]
    return Burst(count, len(completed), last_end(ended) - created[0][1])


def memory(worker: Worker, folder: Path) -> Memory:
    until = folder / f"{worker.pool}.end"
    run, _ = worker.api.create(worker.sleeper, {"stamps": str(worker.stamps), "until": str(until)})
    pid = worker.stamp(run).pid
    measured = Memory(_pss(pid), sum(_pss(parent.pid) for parent in _supervisors(pid, worker.pid)))
    until.touch()
    worker.api.ended([run], 60)
    worker.settle()
    return measured


def whole_memory(worker: Worker) -> int:
    """PSS in bytes of the worker and all it has started."""
    return _pss(worker.pid) + sum(_pss(each.pid) for each in worker.processes())


def _supervisors(pid: int, worker: int) -> list[psutil.Process]:
    """The run's forebears up to the worker that exist for this run alone: a zygote has other children too."""
    found = []
    for parent in psutil.Process(pid).parents():
        if parent.pid == worker or len(parent.children()) > 1:
            break
        found.append(parent)
    return found


def _pss(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def requests(worker: Worker, env: Mapping[str, str]) -> Requests:
    """With a worker of its own behind a counting proxy; runs one after another, the idle rate taken off."""
    with counting(env["PREFECT_API_URL"]) as proxy, worker.running({**env, "PREFECT_API_URL": proxy.url}):
        _one(worker)
        worker.settle()
        proxy.take()
        time.sleep(_IDLE_SECONDS)  # idleness has no event to wait for
        idle = {kind: count / _IDLE_SECONDS for kind, count in proxy.take().items()}
        began = time.monotonic()
        for _ in range(_COUNTED_RUNS):
            _one(worker)
        worker.settle()
        elapsed = time.monotonic() - began
        counted: Counter[str] = proxy.take()
    added = {
        kind: max(0.0, count - idle.get(kind, 0) * elapsed) / _COUNTED_RUNS for kind, count in counted.items()
    }
    return Requests(sum(added.values()), sum(idle.values()), added)


def _one(worker: Worker) -> None:
    run, _ = worker.api.create(worker.noop, {"stamps": str(worker.stamps)})
    worker.api.ended([run], 90)
