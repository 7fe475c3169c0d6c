"""A worker under measurement: Prefect's stock process worker or a node, each on a pool of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.benchmarks.prefect_api import Api
from tests.services.leashed import leashed
from tests.services.poll import until

ROOT = Path(__file__).parents[2]
STOCK = "process"
NODE = "skald"
FLOWS = "tests/benchmarks/flows"
STOCK_POLL_SECONDS = "0.5"
_STILL = 40
"""Looks in a row that must find as many processes."""


@dataclass(frozen=True)
class Stamp:
    """User code of ``run`` began at ``at`` (Unix time) in process ``pid``."""

    run: str
    at: float
    pid: int


class Worker:
    def __init__(self, kind: str, api: Api, folder: Path) -> None:
        self.kind = kind
        self.pool = f"bench-{kind}-{uuid.uuid4().hex[:6]}"
        self.stamps = folder / f"{self.pool}.stamps"
        self.log = folder / f"{self.pool}.log"
        self.api = api
        api.pool(self.pool, kind)
        self.noop = api.deployment(self.pool, f"{FLOWS}/noop.py:noop", str(ROOT))
        self.sleeper = api.deployment(self.pool, f"{FLOWS}/noop.py:sleeper", str(ROOT))
        self.heavy = api.deployment(self.pool, f"{FLOWS}/heavy.py:heavy", str(ROOT))
        self.unshared = api.deployment(self.pool, f"{FLOWS}/unshared.py:unshared", str(ROOT))
        self.pid = 0

    @contextlib.contextmanager
    def running(self, env: Mapping[str, str]) -> Iterator[None]:
        """Up, and known to Prefect; it and all it started are gone afterwards."""
        command = [sys.executable, "-m", "prefect", "worker", "start", "--type", self.kind]
        name = f"{self.pool}-{uuid.uuid4().hex[:4]}"
        own = {"PREFECT_WORKER_QUERY_SECONDS": STOCK_POLL_SECONDS} if self.kind == STOCK else {}
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                leashed([*command, "--pool", self.pool, "--name", name]),
                env={**env, **own},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = process.pid
        try:
            until(lambda: self._up(process, name), 60, f"a {self.kind} worker; its log: {self.log}")
            yield
        finally:
            _end(process)

    def _up(self, process: subprocess.Popen[bytes], name: str) -> bool:
        assert process.poll() is None, self.log.read_text()[-3000:]
        return self.api.online(self.pool, name)

    def loaded(self, count: int) -> None:
        """Wait until a node has loaded the code of so many deployments."""
        until(lambda: len(self.api.starts(self.pool)) >= count, 120, f"{count} deployments loaded")

    def rested(self) -> None:
        """Wait until a node makes no more spare children."""
        counts: list[int] = []

        def still() -> bool:
            counts.append(len(self.processes()))
            return len(counts) > _STILL and len(set(counts[-_STILL:])) == 1

        until(still, 60, "no new processes")

    def all_stamps(self) -> dict[str, Stamp]:
        lines = self.stamps.read_text().splitlines() if self.stamps.exists() else []
        return {stamp.run: stamp for stamp in (Stamp(**json.loads(line)) for line in lines)}

    def stamp(self, run: str, seconds: float = 90) -> Stamp:
        until(lambda: run in self.all_stamps(), seconds, f"user code of {run} on the {self.kind} worker")
        return self.all_stamps()[run]

    def processes(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []

    def settle(self) -> None:
        """Wait until no process of an ended run is left."""
        pids = {stamp.pid for stamp in self.all_stamps().values()}

        def settled() -> bool:
            left = self.processes()
            # The stock worker's children are all runs'; a node's are also its zygote and its spares.
            return not left if self.kind == STOCK else not any(process.pid in pids for process in left)

        until(settled, 60, f"the {self.kind} worker has ended its runs' processes")


def _end(process: subprocess.Popen[bytes]) -> None:
    children: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=5)
