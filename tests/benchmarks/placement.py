"""How long the choice of a node takes, by the number of nodes.

Half of all slots are taken; every member sends a heartbeat each three seconds while 4,000 tasks a second come and
go. Only the decision is timed, by the wall clock and in time of the CPU: a busy machine stretches the first alone.
The seed is fixed; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from time import perf_counter_ns, thread_time_ns

import psutil
from rich.console import Console
from rich.table import Table

from skald_work_pools.placement.fleet import Fleet
from skald_work_pools.placement.model import Grant
from tests.benchmarks.placement_fleet import START, Drawn

SIZES = (500, 5_000, 10_000, 50_000, 100_000)
PER_SECOND = 4_000
HEARTBEAT_SECONDS = 3
OUTSTANDING = 200
"""Tasks granted and not yet ended; those that came before are in what the members report."""


@dataclass(frozen=True)
class Measured:
    """Times in µs; ``report``: a heartbeat's median; ``wants``: seconds that each want took when asked first."""

    size: int
    p50: float
    p99: float
    p99_cpu: float
    worst: float
    report: float
    wants: float
    granted: int
    bytes_per_node: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.placement", description=__doc__)
    parser.add_argument("--decisions", type=int, default=20_000, metavar="N", help="decisions per size")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N", help="members")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json-only", action="store_true", help="no table")
    options = parser.parse_args()
    found = []
    for size in options.sizes:  # each in a process of its own, so that memory is its own
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            found.append(pool.submit(measure, size, options.decisions, options.seed).result())
    if not options.json_only:
        _show(found, options.decisions)
    print(
        json.dumps(
            {
                "p50_us": {str(one.size): one.p50 for one in found},
                "p99_us": {str(one.size): one.p99 for one in found},
                "p99_cpu_us": {str(one.size): one.p99_cpu for one in found},
                "bytes_per_node": round(found[-1].bytes_per_node),
            }
        )
    )


def measure(size: int, decisions: int, seed: int) -> Measured:
    before = psutil.Process().memory_info().rss
    drawn, fleet, now = Drawn(seed), Fleet(seed), START
    beats = [drawn.member(number) for number in range(size)]
    for member, used in beats:
        fleet.report(member, used, now)
    first = perf_counter_ns()
    for number in range(1_000):  # each want is asked once
        fleet.place(drawn.request(-number - 1), now)
        fleet.release(f"task-{-number - 1}", now)
    wants = (perf_counter_ns() - first) / 1e9
    memory = (psutil.Process().memory_info().rss - before) / size
    times, cpu, reports, running, due, beat = [], [], [], deque[str](), 0.0, 0
    granted = 0
    for number in range(decisions):
        now += timedelta(seconds=1 / PER_SECOND)
        due += size / HEARTBEAT_SECONDS / PER_SECOND
        while due >= 1:
            member, used = beats[beat % size]
            began = perf_counter_ns()
            fleet.report(member, used, now)
            reports.append(perf_counter_ns() - began)
            beat, due = beat + 1, due - 1
        request = drawn.request(number)
        began, began_cpu = perf_counter_ns(), thread_time_ns()
        answer = fleet.place(request, now)
        ended_cpu, ended = thread_time_ns(), perf_counter_ns()
        times.append((ended - began) / 1000)
        cpu.append((ended_cpu - began_cpu) / 1000)
        if isinstance(answer, Grant):
            granted += 1
            running.append(answer.task)
        if len(running) > OUTSTANDING:
            fleet.release(running.popleft(), now)
    parts = statistics.quantiles(times, n=100)
    return Measured(
        size,
        round(parts[49], 1),
        round(parts[98], 1),
        round(statistics.quantiles(cpu, n=100)[98], 1),
        round(max(times), 1),
        round(statistics.median(reports) / 1000, 1),
        wants,
        granted,
        memory,
    )


def _show(found: list[Measured], decisions: int) -> None:
    table = Table(title=f"Choosing a node, {decisions:,} decisions at each size")
    for name in ("nodes", "p50", "p99", "p99 CPU", "worst", "report", "granted", "first asked", "B/node"):
        table.add_column(name, justify="right")
    for one in found:
        table.add_row(
            f"{one.size:,}",
            f"{one.p50} µs",
            f"{one.p99} µs",
            f"{one.p99_cpu} µs",
            f"{one.worst:,} µs",
            f"{one.report} µs",
            f"{one.granted / decisions:.0%}",
            f"{one.wants:.2f} s",
            f"{one.bytes_per_node:,.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
