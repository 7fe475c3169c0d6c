"""A whole fleet on a virtual clock: utilisation, waiting by priority, and whether anything is lost.

10,000 nodes, a day of arrivals with six bursts, 1 % of the nodes failing every hour. The choice of nodes is the
product's; time, tasks and nodes are simulated from one seed. ``--plot FILE`` draws it (docs/images/simulation.svg). The
last line is one JSON object: ``cpu_utilisation`` and ``gpu_utilisation`` of the second half, ``wait_p50_s`` and
``wait_p99_s`` by priority, ``lost``, ``double``, ``overcommitted``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.simulated_day import KINDS, Day, Result, Terms
from tests.benchmarks.svg_plot import Line, Panel, picture


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.simulation", description=__doc__)
    parser.add_argument("--nodes", type=int, default=Terms.nodes)
    parser.add_argument("--hours", type=float, default=Terms.hours)
    parser.add_argument("--load", type=float, default=Terms.load, help="part of the scarcer of CPUs and GPUs")
    parser.add_argument("--failures", type=float, default=Terms.failures, help="of the nodes, an hour")
    parser.add_argument("--seed", type=int, default=Terms.seed)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="an SVG picture of the day")
    options = parser.parse_args()
    terms = Terms(options.nodes, options.hours, options.load, options.failures, seed=options.seed)
    began = time.monotonic()
    with Console().status("hour 0") as status:
        result = Day(terms).run(lambda hour: status.update(f"hour {hour:g} of {terms.hours:g}"))
    figures = figures_of(result)
    _show(result, figures, time.monotonic() - began)
    if options.plot:
        options.plot.write_text(drawn(result, terms))
    print(json.dumps({"nodes": terms.nodes, "hours": terms.hours, **figures}))


def figures_of(result: Result) -> dict[str, object]:
    later = result.samples[len(result.samples) // 2 :]
    parts = {priority: _quantiles(waits) for priority, waits in sorted(result.waits.items(), reverse=True)}
    return {
        "arrived": result.arrived,
        "ended": result.ended,
        "failed_nodes": result.failed_nodes,
        "moved": result.moved,
        "cpu_utilisation": round(statistics.mean(each.cpus for each in later), 3),
        "gpu_utilisation": round(statistics.mean(each.gpus for each in later), 3),
        "wait_p50_s": {str(priority): round(p50, 1) for priority, (p50, _) in parts.items()},
        "wait_p99_s": {str(priority): round(p99, 1) for priority, (_, p99) in parts.items()},
        "lost": result.lost,
        "double": result.double,
        "overcommitted": result.overcommitted,
    }


def drawn(result: Result, terms: Terms) -> str:
    cpus = [(each.hour, 100 * each.cpus) for each in result.samples]
    gpus = [(each.hour, 100 * each.gpus) for each in result.samples]
    waiting = [(each.hour, float(each.waiting)) for each in result.samples]
    most = max(1.0, *(count for _, count in waiting))
    return picture(
        [
            Panel(
                f"In use, {terms.nodes:,} nodes", [Line("CPUs", cpus), Line("GPU memory", gpus)], 100, " %"
            ),
            Panel("Tasks that wait", [Line("waiting", waiting)], most),
        ],
        terms.hours,
    )


def _quantiles(waits: list[float]) -> tuple[float, float]:
    parts = statistics.quantiles(waits, n=100) if len(waits) > 1 else [*waits] * 99
    return parts[49], parts[98]


def _show(result: Result, figures: dict[str, object], seconds: float) -> None:
    table = Table("task", "priority", "started", "waited, median", "waited, p99", title="Waiting")
    for kind in KINDS:
        waits = result.waits.get(kind.priority, [])
        if waits:
            p50, p99 = _quantiles(waits)
            table.add_row(kind.name, str(kind.priority), f"{len(waits):,}", f"{p50:,.1f} s", f"{p99:,.1f} s")
    console = Console()
    console.print(table)
    console.print({name: value for name, value in figures.items() if not name.startswith("wait")})
    console.print(f"simulated in {seconds:.0f} s")


if __name__ == "__main__":
    main()
