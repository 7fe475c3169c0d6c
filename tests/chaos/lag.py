"""What went on while something was away, and how soon it was made up for; pure, from counters over time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.plan import Fault, Target

Series = Sequence[tuple[float, float]]
"""(seconds, value), oldest first."""

STARTED, RUNNING, JOURNAL, CHANGES = "tasks started", "tasks journaled as Running", "journal", "changes"
KAFKA, REDIS, MONGO = "Kafka", "Redis", "MongoDB"
DELIVERED = {name: f"delivered to {name}" for name in (KAFKA, REDIS, MONGO)}

_ALL = (STARTED, JOURNAL, KAFKA, REDIS, MONGO)
UNTOUCHED: dict[Target, tuple[str, ...]] = {
    Target.KAFKA: (STARTED, JOURNAL, REDIS, MONGO),
    Target.REDIS: (STARTED, JOURNAL, KAFKA, MONGO),
    Target.LINK: (STARTED, JOURNAL, KAFKA, MONGO),
    Target.MONGO: (STARTED, JOURNAL, KAFKA, REDIS),
    Target.BRIDGE: (STARTED,),
    Target.PREFECT: (REDIS,),
    Target.NODE: _ALL,
    Target.DISK: (STARTED, REDIS),
}
"""What must move while the target is away."""

_BEHIND: dict[Target, tuple[str, str]] = {
    Target.KAFKA: (JOURNAL, DELIVERED[KAFKA]),
    Target.REDIS: (CHANGES, DELIVERED[REDIS]),
    Target.LINK: (CHANGES, DELIVERED[REDIS]),
    Target.MONGO: (CHANGES, DELIVERED[MONGO]),
}
_WORTH_JUDGING = 6.0
"""Seconds: Redis hears of something every three, and a machine may be busy."""


@dataclass(frozen=True)
class Outage:
    """``began``, ``ended``: seconds; it was away between them."""

    fault: Fault
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


def stood_still(outage: Outage, meters: Mapping[str, Series]) -> list[str]:
    """What should have gone on and did not; nothing is said of a short outage."""
    if outage.seconds < _WORTH_JUDGING:
        return []
    return [
        name
        for name in UNTOUCHED[outage.fault.target]
        if not _moved(meters.get(name, ()), outage.began, outage.ended)
    ]


def caught_up_after(outage: Outage, meters: Mapping[str, Series]) -> float | None:
    """Seconds from its end until all that had waited was there; ``None`` if it never was."""
    source, sink = _BEHIND.get(outage.fault.target, (STARTED, RUNNING))
    waiting = value_at(meters.get(source, ()), outage.ended)
    later = [at for at, value in meters.get(sink, ()) if at >= outage.ended and value >= waiting]
    return max(0.0, later[0] - outage.ended) if later else None


def value_at(series: Series, at: float) -> float:
    """The newest value at that moment; 0 before the first."""
    place = bisect_right(series, at, key=lambda sample: sample[0])
    return series[place - 1][1] if place else 0.0


def _moved(series: Series, began: float, ended: float) -> bool:
    return len({value for at, value in series if began <= at <= ended} | {value_at(series, began)}) > 1
