"""Who gives way to a task of higher priority: the cheapest, and no more than are needed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from skald_work_pools.placement.fleet import Fleet
from skald_work_pools.placement.kinds import Want, want_key
from skald_work_pools.placement.model import Grant, Request, State
from skald_work_pools.placement.room import Room
from skald_work_pools.placement.score import NO_ROOM, rank

_MOST_COMPARED = 256
"""So many members with cheap victims are looked at."""


@dataclass(frozen=True, slots=True)
class Preemption:
    """The task would have room on the member if the victims were gone; ``lost`` is their work, in seconds."""

    member: str
    alternative: int
    victims: tuple[Grant, ...]
    lost: float


def preemption(
    request: Request, fleet: Fleet, now: datetime, checkpoints: Mapping[str, datetime] | None = None
) -> Preemption | None:
    """The cheapest way to make room; ``None`` where tasks of lower priority are not enough, or it has room.

    Nobody gives way for what the fleet as a whole has too little of (shared resources, limits).

    Cheap are victims of low priority, then those that lose little: work since their start, or since their last
    entry in ``checkpoints`` (task to time). Without any of the victims the rest would not be enough.
    """
    if fleet.tally.short(request) is not None:
        return None
    price = _Price(now, checkpoints or {})
    lower: defaultdict[str, list[Grant]] = defaultdict(list)
    for grant in fleet.grants():
        if grant.request.priority < request.priority:
            lower[grant.member].append(grant)
    cheapest_first = sorted(lower, key=lambda member: (min(map(price.of, lower[member])), member))
    for number, needs in enumerate(request.alternatives):
        want = Want(want_key(request, needs, fleet.tally.shared))
        index = fleet.catalog.index(want.key)
        found: list[tuple[tuple[int, float, int], Preemption]] = []
        able = (
            room
            for member in cheapest_first
            if request.node in (None, member)
            and (room := fleet.catalog.rooms[member]).state is State.ONLINE
            and room.kind in index.lacks
            and fleet.apart.view(room, request, now) is room
        )
        for _, room in zip(range(_MOST_COMPARED), able, strict=False):
            victims = _victims(want, room, sorted(lower[room.member.id], key=price.of))
            if victims:
                cost = price.of_all(victims)
                found.append(((*cost, len(victims)), Preemption(room.member.id, number, victims, cost[1])))
        if found:
            return min(found, key=lambda each: (each[0], each[1].member))[1]
    return None


class _Price:
    def __init__(self, now: datetime, checkpoints: Mapping[str, datetime]) -> None:
        self._now, self._checkpoints = now, checkpoints

    def of(self, grant: Grant) -> tuple[int, float, str]:
        return grant.request.priority, self._lost(grant), grant.task

    def of_all(self, grants: Iterable[Grant]) -> tuple[int, float]:
        grants = list(grants)
        return max(grant.request.priority for grant in grants), sum(map(self._lost, grants))

    def _lost(self, grant: Grant) -> float:
        return (self._now - max(grant.since, self._checkpoints.get(grant.task, grant.since))).total_seconds()


def _victims(want: Want, room: Room, candidates: list[Grant]) -> tuple[Grant, ...]:
    """Of the candidates, cheapest first, those that must go; none where all would not do, or none need go."""
    taken: list[Grant] = []
    for candidate in candidates:
        if _fits(want, room, taken):
            break
        taken.append(candidate)
    if not _fits(want, room, taken):
        return ()
    for dearest in reversed(taken[:]):
        rest = [grant for grant in taken if grant is not dearest]
        if _fits(want, room, rest):
            taken = rest
    return tuple(taken)


def _fits(want: Want, room: Room, gone: list[Grant]) -> bool:
    return rank(want, room.without(gone), 0.0) != NO_ROOM
