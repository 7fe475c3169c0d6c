"""How fast a run ends on a node: cancelled until its processes are gone, killed until Prefect calls it Crashed.

The task is well-behaved: it has a helper process, and code that runs when it is cancelled. Times are from just
before the request, or the signal. The last line is one JSON object: ``cancel_p50_s``, ``cancel_p95_s``,
``crash_p50_s``, ``crash_p95_s``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.integration.node.harness import Bench, appears, gone
from tests.services.prefect_server import running_server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ends", description=__doc__)
    parser.add_argument("--runs", type=int, default=15, metavar="N", help="of each kind of end")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="skald-bench-") as folder,
        running_server(Path(folder) / "prefect") as server,
    ):
        bench = Bench(server, Path(folder) / "bench")
        deployment = bench.deploy("patient")
        with bench.node():
            times = {
                kind: [end(bench, deployment) for _ in range(options.runs + 1)][1:]
                for kind, end in {"cancel": cancelled, "crash": crashed}.items()
            }
    table = Table("", "p50", "p95", title=f"{options.runs} runs each")
    told = {"cancel": "cancelled → its processes are gone", "crash": "SIGKILL → Crashed"}
    figures: dict[str, object] = {"runs": options.runs}
    for kind, taken in times.items():
        p50, p95 = statistics.median(taken), statistics.quantiles(taken, n=20, method="inclusive")[-1]
        table.add_row(told[kind], f"{p50:.3f} s", f"{p95:.3f} s")
        figures |= {f"{kind}_p50_s": round(p50, 3), f"{kind}_p95_s": round(p95, 3)}
    Console().print(table)
    print(json.dumps(figures))


def cancelled(bench: Bench, deployment: str) -> float:
    def cancel(run: str, pid: int) -> None:
        bench.propose(run, type="CANCELLING", name="Cancelling")
        gone(pid)

    return _timed(bench, deployment, cancel, "Cancelled")


def crashed(bench: Bench, deployment: str) -> float:
    def kill(run: str, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        bench.reaches(run, "Crashed")

    return _timed(bench, deployment, kill, "Crashed")


def _timed(bench: Bench, deployment: str, end: Callable[[str, int], None], state: str) -> float:
    marks = bench.marks()
    run = bench.run(deployment, marks)
    pid = int(appears(marks / "started"))
    bench.reaches(run, "Running")
    began = time.monotonic()
    end(run, pid)
    took = time.monotonic() - began
    bench.reaches(run, state)
    return took


if __name__ == "__main__":
    main()
