"""The skalds bench's figures, for people and for programs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from tests.benchmarks.skalds_kills import Losses
from tests.benchmarks.skalds_sides import OURS, THEIRS

_TIMES = {
    "start": "document → user code",
    "burst": "burst → all started",
    "finish": "work done → Finished in MongoDB",
    "cancel": "cancel → process gone",
    "update": "update → handler",
}
_KILLS = {
    "node": "node killed at work, back after 5 s",
    "controller": "controller killed in a burst",
    "kafka": "Kafka killed in a burst",
    "restart": "node restarted in a burst",
}
_SIDES = (THEIRS, OURS)

Taken = Mapping[str, Sequence[float]]


def figures(times: Mapping[str, Taken], losses: Mapping[str, Mapping[str, Losses]]) -> dict[str, object]:
    """A side that was not measured is ``None``; kills are sums over all of them, and singly under ``kills``."""
    made: dict[str, object] = {}
    for side in _SIDES:
        for what in _TIMES:
            key = "p50" if what == "start" else what
            made[f"{side}_{key}_s"] = _rounded(_median(times, what, side), 4)
        made[f"{side}_p95_s"] = _rounded(_p95(times, "start", side), 4)
        made[f"{side}_lost"] = sum(found[side].lost for found in losses.values() if side in found)
        made[f"{side}_doubled"] = sum(found[side].doubled for found in losses.values() if side in found)
    made["ratio"] = _rounded(_ratio(times, "start", THEIRS, OURS), 2)
    made["burst_ratio"] = _rounded(_ratio(times, "burst", OURS, THEIRS), 2)
    made["samples"] = {what: {side: len(taken[side]) for side in taken} for what, taken in times.items()}
    made["kills"] = {
        kill: {side: {"lost": one.lost, "doubled": one.doubled} for side, one in found.items()}
        for kill, found in losses.items()
    }
    return made


def show(console: Console, times: Mapping[str, Taken], losses: Mapping[str, Mapping[str, Losses]]) -> None:
    table = Table("", *(f"{side}{' 0.3.8, repaired' if side == THEIRS else ''}" for side in _SIDES), "")
    for what, told in _TIMES.items():
        middle = [_seconds(_median(times, what, side)) for side in _SIDES]
        faster = _ratio(times, what, THEIRS, OURS)
        table.add_row(f"{told}, p50", *middle, f"{faster:.1f}×" if faster else "")
        table.add_row(f"{told}, p95", *(_seconds(_p95(times, what, side)) for side in _SIDES))
    for kill, found in losses.items():
        table.add_row(_KILLS[kill], *(str(found.get(side, "")) for side in _SIDES))
    console.print(table)


def _median(times: Mapping[str, Taken], what: str, side: str) -> float | None:
    taken = times[what].get(side) if what in times else None
    return statistics.median(taken) if taken else None


def _p95(times: Mapping[str, Taken], what: str, side: str) -> float | None:
    taken = times[what].get(side) if what in times else None
    if not taken or len(taken) == 1:
        return taken[0] if taken else None
    return statistics.quantiles(taken, n=20, method="inclusive")[-1]


def _ratio(times: Mapping[str, Taken], what: str, over: str, under: str) -> float | None:
    above, below = _median(times, what, over), _median(times, what, under)
    return above / below if above and below else None


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f} s"


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
