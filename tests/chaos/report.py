"""What a run of the chaos found, for people and for programs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.table import Table

from tests.chaos.lag import MONGO, UNTOUCHED, Outage, caught_up_after, stood_still, value_at
from tests.chaos.run import Result

_MIB = 2**20
_REFUSALS = 4
_LONG = 5.0
"""Seconds from which on an outage is compared with the time that catching up took."""
_UNITS = {MONGO: " s"}
"""MongoDB's meter is the time of its newest document."""


def table_of_faults(result: Result) -> Table:
    table = Table("", "fault", "away s", "went on meanwhile", "caught up after s", title="Faults")
    for number, outage in enumerate(result.outages, 1):
        caught = caught_up_after(outage, result.meters)
        table.add_row(
            str(number),
            outage.fault.name,
            f"{outage.seconds:.1f}",
            _meanwhile(outage, result),
            "never" if caught is None else f"{caught:.1f}",
        )
    return table


def table_of_counts(result: Result) -> Table:
    table = Table("", "", title=f"{result.tasks} tasks, {result.states} states, {result.began} beginnings")
    for kind, count in result.findings.counts().items():
        table.add_row(kind.replace("_", " "), str(count))
    table.add_section()
    for name, count in sorted({**result.ends, **result.outcomes}.items()):
        table.add_row(name, str(count))
    table.add_row("odd items put among them", str(result.poison))
    table.add_section()
    for said, count in Counter(result.refusals).most_common(_REFUSALS):
        table.add_row(f"answered while something was away: {said}", str(count))
    table.add_row("bridge's memory, most", f"{result.rss / _MIB:.0f} MiB")
    return table


def figures(result: Result) -> dict[str, Any]:
    """The last line of the output."""
    return {
        "tasks": result.tasks,
        **result.findings.counts(),
        "states": result.states,
        "executions": result.began,
        "poison": result.poison,
        "seed": result.seed,
        "seconds": round(result.seconds),
        "faults": len(result.outages),
        "stood_still": sum(len(stood_still(outage, result.meters)) for outage in result.outages),
        "slow_to_catch_up": sum(_slow(outage, result) for outage in result.outages),
        "bridge_rss_mb": round(result.rss / _MIB),
    }


def _slow(outage: Outage, result: Result) -> bool:
    caught = caught_up_after(outage, result.meters)
    return outage.seconds >= _LONG and (caught is None or caught > outage.seconds)


def _meanwhile(outage: Outage, result: Result) -> str:
    still = stood_still(outage, result.meters)
    told = []
    for name in UNTOUCHED[outage.fault.target]:
        series = result.meters.get(name, ())
        moved = value_at(series, outage.ended) - value_at(series, outage.began)
        went_on = f"{name} +{moved:.0f}{_UNITS.get(name, '')}" if moved < 10**5 else name
        told.append(f"{name} STOOD STILL" if name in still else went_on)
    return ", ".join(told)
