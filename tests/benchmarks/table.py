"""The start bench's figures, for people and for programs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tests.benchmarks.measures import Burst, Memory, Requests, Sample

_MIB = 2**20
LOADED = 20


@dataclass(frozen=True)
class Side:
    """All of one worker's measurements."""

    samples: Sequence[Sample]
    burst: Burst
    memory: Memory
    requests: Requests

    def percentile(self, share: float, of: Callable[[Sample], float | None] = lambda s: s.user_code) -> float:
        """Linear interpolation, as numpy's default; NaN where no sample has the value."""
        values = sorted(value for value in map(of, self.samples) if value is not None)
        if not values:
            return float("nan")
        if len(values) == 1:
            return values[0]
        if share == 0.5:
            return statistics.median(values)
        place = share * (len(values) - 1)
        low = int(place)
        high = min(low + 1, len(values) - 1)
        return values[low] + (values[high] - values[low]) * (place - low)


@dataclass(frozen=True)
class Warm:
    """Samples of a node's no-ops: ``light``, ``heavy`` (large libraries, forked), ``imported`` (by each process).

    ``loaded`` is the PSS in bytes of a node with ``LOADED`` deployments that had no run yet.
    """

    samples: Mapping[str, Sequence[Sample]]
    loaded: int

    def p50(self, kind: str) -> float:
        return statistics.median(sample.user_code for sample in self.samples[kind])


def warm_figures(warm: Warm) -> dict[str, object]:
    return {
        "light_p50_s": round(warm.p50("light"), 4),
        "heavy_p50_s": round(warm.p50("heavy"), 4),
        "imported_p50_s": round(warm.p50("imported"), 4),
        f"node_pss_mb_{LOADED}": round(warm.loaded / _MIB, 1),
    }


def show_warm(console: Console, warm: Warm) -> None:
    table = Table(title="Created → user code on a node, p50")
    table.add_column("a no-op that imports")
    table.add_column("", justify="right")
    names = {
        "light": "Prefect alone (forked)",
        "heavy": "numpy, av and pillow (forked)",
        "imported": "the same and a thread (imported by each process)",
    }
    for kind, name in names.items():
        table.add_row(name, _ms(warm.p50(kind)))
    table.add_row(f"PSS of a node with {LOADED} deployments loaded", _mib(warm.loaded))
    console.print(table)


def figures(database: str, stock: Side, node: Side) -> dict[str, object]:
    """Times in seconds; ratios: how many times better the node is, but ``pss_ratio`` is node over stock."""
    return {
        "database": database,
        "stock_p50_s": round(stock.percentile(0.5), 4),
        "stock_p95_s": round(stock.percentile(0.95), 4),
        "skald_p50_s": round(node.percentile(0.5), 4),
        "skald_p95_s": round(node.percentile(0.95), 4),
        "ratio": round(stock.percentile(0.5) / node.percentile(0.5), 2),
        "stock_per_s": round(stock.burst.per_second, 3),
        "skald_per_s": round(node.burst.per_second, 3),
        "throughput_ratio": round(node.burst.per_second / stock.burst.per_second, 2),
        "pss_ratio": round(node.memory.run / stock.memory.run, 3),
        "requests_per_run": round(node.requests.per_run, 1),
        "stock_requests_per_run": round(stock.requests.per_run, 1),
        "stock_pss_bytes": stock.memory.run,
        "stock_supervisor_pss_bytes": stock.memory.supervisors,
        "skald_pss_bytes": node.memory.run,
        "skald_failed": node.burst.runs - node.burst.completed,
        "stock_failed": stock.burst.runs - stock.burst.completed,
    }


def show(console: Console, database: str, stock: Side, node: Side) -> None:
    table = Table(title=f"Start of a no-op run, Prefect on {database}")
    table.add_column("")
    table.add_column("stock process worker", justify="right")
    table.add_column("skald node", justify="right")
    table.add_column("", justify="right")
    steps: list[tuple[str, Callable[[Sample], float | None]]] = [
        ("created → Pending", lambda s: s.pending),
        ("created → Running", lambda s: s.running),
        ("created → user code", lambda s: s.user_code),
        ("created → Completed", lambda s: s.completed),
    ]
    for name, step in steps:
        for share in (0.5, 0.95):
            slow, fast = stock.percentile(share, step), node.percentile(share, step)
            table.add_row(f"{name}, p{share * 100:.0f}", _ms(slow), _ms(fast), f"{slow / fast:.1f}×")
    slow, fast = stock.burst.per_second, node.burst.per_second
    table.add_row(f"burst of {node.burst.runs}, runs/s", f"{slow:.2f}", f"{fast:.2f}", f"{fast / slow:.1f}×")
    table.add_row("  of them completed", str(stock.burst.completed), str(node.burst.completed))
    before, after = stock.memory, node.memory
    share = after.run / before.run
    table.add_row("PSS of a run's process", _mib(before.run), _mib(after.run), f"{share:.0%}")
    table.add_row("PSS of its supervisor", _mib(before.supervisors), _mib(after.supervisors))
    asked, needed = stock.requests, node.requests
    table.add_row("requests per run", f"{asked.per_run:.1f}", f"{needed.per_run:.1f}")
    table.add_row("requests/s when idle", f"{asked.idle_per_second:.2f}", f"{needed.idle_per_second:.2f}")
    console.print(table)
    _show_requests(console, asked.kinds, needed.kinds)


def _show_requests(console: Console, stock: Mapping[str, float], node: Mapping[str, float]) -> None:
    table = Table(title="Requests that one run adds")
    table.add_column("request", overflow="fold")
    table.add_column("stock process worker", justify="right")
    table.add_column("skald node", justify="right")
    most = {kind: max(stock.get(kind, 0), node.get(kind, 0)) for kind in {*stock, *node}}
    for kind in sorted(most, key=lambda kind: (-most[kind], kind)):
        if most[kind] >= 0.1:
            table.add_row(kind, *(f"{max(side.get(kind, 0), 0):.1f}" for side in (stock, node)))
    console.print(table)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _mib(size: int) -> str:
    return f"{size / _MIB:.0f} MiB"
