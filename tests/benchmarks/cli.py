"""How long `skald` commands take, beside `prefect` commands that ask the same server, in one run.

Each sample is a new process from its start to its end. The commands take turns, so that noise hits all; each has
one uncounted sample first. A node is announced that takes nothing, so that nothing runs meanwhile. The last line
is one JSON object: the median of each command, in seconds (``tasks_p50_s``, ``submit_p50_s``,
``prefect_version_p50_s`` and others), the CPU seconds that it takes itself (``tasks_cpu_s`` and others), which say
more on a busy machine, and ``samples``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
from rich.console import Console
from rich.table import Table

from skald_work_pools.devices import variable_name
from tests.benchmarks.prefect_api import Api
from tests.benchmarks.workers import ROOT
from tests.services.prefect_server import PrefectServer, running_server
from tests.services.skald_cli import skald_environment

SCRIPTS = Path(sys.executable).parent
FLOW, CLASS = "tests/benchmarks/flows/noop.py:noop", "noop"
TASKS = 20


@dataclass(frozen=True)
class Taken:
    """Seconds."""

    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cli", description=__doc__)
    parser.add_argument("--samples", type=int, default=11, metavar="N", help="of each command")
    parser.add_argument("--json-only", action="store_true", help="no table")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="skald-bench-") as folder,
        running_server(Path(folder) / "prefect") as server,
    ):
        commands = _commands(*_filled(server))
        taken = _measure(commands, _environment(server, Path(folder)), options.samples)
    if not options.json_only:
        columns = ("command", "median", "fastest", "slowest", "of its own CPU")
        table = Table(*columns, title=f"{options.samples} samples of each")
        for name, samples in taken.items():
            walls = [each.wall for each in samples]
            shown = (_p50(walls), min(walls), max(walls), _p50([each.cpu for each in samples]))
            table.add_row(" ".join(commands[name]), *(f"{value:.3f} s" for value in shown))
        Console(width=120).print(table)
    medians = {f"{name}_p50_s": _p50([each.wall for each in samples]) for name, samples in taken.items()}
    cpus = {f"{name}_cpu_s": _p50([each.cpu for each in samples]) for name, samples in taken.items()}
    print(json.dumps({**medians, **cpus, "samples": options.samples}))


def _commands(task: str, deployment: str) -> dict[str, list[str]]:
    return {
        "help": ["skald", "--help"],
        "tasks": ["skald", "tasks"],
        "submit": ["skald", "submit", CLASS],
        "task": ["skald", "task", task],
        "nodes": ["skald", "nodes"],
        "queue": ["skald", "queue"],
        "why": ["skald", "why", task],
        "prefect_version": ["prefect", "version"],
        "prefect_flow_run_ls": ["prefect", "flow-run", "ls"],
        "prefect_deployment_run": ["prefect", "deployment", "run", deployment],
    }


def _filled(server: PrefectServer) -> tuple[str, str]:
    """A pool with a node, a deployment and some tasks: one task's id, and the deployment's name."""
    pool, node = f"bench-{uuid4().hex[:6]}", "bench-node"
    told = {
        "name": node,
        "pool": pool,
        "cpus": 2,
        "memory": 8 * 10**9,
        "started": datetime.now(UTC).isoformat(),
        "task_types": [CLASS],
    }
    with contextlib.closing(Api(server.url)) as api:
        api.pool(pool, "skald")
        deployment = api.deployment(pool, FLOW, str(ROOT))
        tasks = [api.create(deployment, {"stamps": "none"})[0] for _ in range(TASKS)]
    for path, body in (
        (f"/work_pools/{pool}/workers/heartbeat", {"name": node, "heartbeat_interval_seconds": 3600}),
        ("/variables/", {"name": variable_name(pool, node), "value": told}),
    ):
        httpx.post(f"{server.url}{path}", json=body, timeout=60).raise_for_status()
    return tasks[0], f"{CLASS}/{CLASS}-{pool}"


def _environment(server: PrefectServer, folder: Path) -> dict[str, str]:
    own = skald_environment(folder / "skald", {"PREFECT_API_URL": server.url})
    return {**own, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}


def _p50(values: list[float]) -> float:
    return round(statistics.median(values), 3)


def _measure(commands: dict[str, list[str]], env: dict[str, str], samples: int) -> dict[str, list[Taken]]:
    taken: dict[str, list[Taken]] = {name: [] for name in commands}
    for number in range(samples + 1):
        for name, command in commands.items():
            began, before = time.perf_counter(), _cpu()
            done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            one = Taken(time.perf_counter() - began, _cpu() - before)
            assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
            if number:
                taken[name].append(one)
    return taken


def _cpu() -> float:
    """Of all children that have ended; the server has not."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
