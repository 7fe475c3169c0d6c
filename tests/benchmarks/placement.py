"""How long the choice of a node takes, by the number of nodes.

Half of all slots are taken; every member sends a heartbeat each three seconds while 4,000 tasks a second come and
go. Only the decision is timed, by the wall clock. The seed is fixed, so that every run decides the same: with
``--repeat`` each decision counts with the shortest time that it took in so many runs, which takes out what other
work on the machine does and leaves what the decision does. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from time import perf_counter_ns

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
    worst: float
    report: float
    wants: float
    granted: int
    bytes_per_node: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.placement", description=__doc__)
    parser.add_argument("--decisions", type=int, default=20_000, metavar="N", help="decisions per size")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N", help="members")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="runs at each size")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json-only", action="store_true", help="no table")
    options = parser.parse_args()
    found = []
    for size in options.sizes:  # each in a process of its own, so that memory is its own
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            found.append(pool.submit(measure, size, options.decisions, options.repeat, options.seed).result())
    if not options.json_only:
        _show(found, options.decisions)
    print(
        json.dumps(
            {
                "p50_us": {str(one.size): one.p50 for one in found},
                "p99_us": {str(one.size): one.p99 for one in found},
                "bytes_per_node": round(found[-1].bytes_per_node),
            }
        )
    )


@dataclass
class Run:
    """One run of the same decisions; ``times`` in µs."""

    times: list[float] = field(default_factory=list)
    reports: list[float] = field(default_factory=list)
    wants: float = 0.0
    memory: float = 0.0
    granted: int = 0


def measure(size: int, decisions: int, repeat: int, seed: int) -> Measured:
    runs = [run(size, decisions, seed) for _ in range(repeat)]
    times = [min(each) for each in zip(*(one.times for one in runs), strict=True)]
    parts = statistics.quantiles(times, n=100)
    first = runs[0]
    return Measured(
        size,
        round(parts[49], 1),
        round(parts[98], 1),
        round(max(times), 1),
        round(min(statistics.median(one.reports or [0.0]) for one in runs), 1),
        first.wants,
        first.granted,
        first.memory,
    )


def run(size: int, decisions: int, seed: int) -> Run:
    found, before = Run(), psutil.Process().memory_info().rss
    drawn, fleet, now = Drawn(seed), Fleet(seed), START
    beats = [drawn.member(number) for number in range(size)]
    for member, used in beats:
        fleet.report(member, used, now)
    began = perf_counter_ns()
    for number in range(1, 1_001):  # each want is asked once
        fleet.place(drawn.request(-number), now)
        fleet.release(f"task-{-number}", now)
    found.wants = (perf_counter_ns() - began) / 1e9
    found.memory = (psutil.Process().memory_info().rss - before) / size
    running, due, beat = deque[str](), 0.0, 0
    for number in range(decisions):
        now += timedelta(seconds=1 / PER_SECOND)
        due += size / HEARTBEAT_SECONDS / PER_SECOND
        while due >= 1:
            member, used = beats[beat % size]
            began = perf_counter_ns()
            fleet.report(member, used, now)
            found.reports.append((perf_counter_ns() - began) / 1000)
            beat, due = beat + 1, due - 1
        request = drawn.request(number)
        began = perf_counter_ns()
        answer = fleet.place(request, now)
        found.times.append((perf_counter_ns() - began) / 1000)
        if isinstance(answer, Grant):
            found.granted += 1
            running.append(answer.task)
        if len(running) > OUTSTANDING:
            fleet.release(running.popleft(), now)
    return found


def _show(found: list[Measured], decisions: int) -> None:
    table = Table(title=f"Choosing a node, {decisions:,} decisions at each size")
    for name in ("nodes", "p50", "p99", "worst", "report", "granted", "first asked", "B/node"):
        table.add_column(name, justify="right")
    for one in found:
        table.add_row(
            f"{one.size:,}",
            f"{one.p50} µs",
            f"{one.p99} µs",
            f"{one.worst:,} µs",
            f"{one.report} µs",
            f"{one.granted / decisions:.0%}",
            f"{one.wants:.2f} s",
            f"{one.bytes_per_node:,.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
