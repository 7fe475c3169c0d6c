"""When a member will have room for a task, by how long its tasks are expected to run; and which comes first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import islice

from skald_work_pools.placement.fleet import Fleet
from skald_work_pools.placement.kinds import Want, want_key
from skald_work_pools.placement.model import Hold, Request, State
from skald_work_pools.placement.room import Room
from skald_work_pools.placement.score import NO_ROOM, rank

_MOST_COMPARED = 256
"""So many members that could take the task are looked at."""


def expected_start(want: Want, room: Room, now: datetime) -> datetime | None:
    """``None`` where it needs the end of a task of which nobody knows when it ends."""
    if rank(want, room, 0.0) != NO_ROOM:
        return now
    ends = sorted(
        (max(now, grant.since + grant.request.duration), task)
        for task, grant in room.grants.items()
        if grant.request.duration is not None
    )
    for number, (end, _) in enumerate(ends):
        gone = [room.grants[task] for _, task in ends[: number + 1]]
        if rank(want, room.without(gone), 0.0) != NO_ROOM:
            return end
    return None


def hold_for(request: Request, fleet: Fleet, now: datetime) -> Hold | None:
    """The member to hold: where the task is expected to start first, else the emptiest that could ever take it."""
    for number, needs in enumerate(request.alternatives):
        index = fleet.catalog.index(want_key(request, needs, fleet.tally.shared))
        able = (
            room
            for kind in index.lacks
            for room in fleet.catalog.rooms_of(kind)
            if _may_be_held(room, request, fleet)
        )
        best: tuple[tuple[bool, datetime, float], Hold] | None = None
        for room in islice(able, _MOST_COMPARED):
            start = expected_start(index.want, room, now)
            order = start is None, start or now, room.load
            if best is None or order < best[0]:
                best = order, Hold(request, number, room.member.id, start)
        if best is not None:
            return best[1]
    return None


def forecast(hold: Hold, fleet: Fleet, now: datetime) -> Hold:
    """The same member, with the start that is expected as things are now."""
    want = Want(want_key(hold.request, hold.needs, fleet.tally.shared))
    return replace(hold, expected=expected_start(want, fleet.catalog.rooms[hold.member], now))


def is_still_good(hold: Hold, fleet: Fleet) -> bool:
    """Whether the member is there and could take the task some time."""
    room = fleet.catalog.rooms.get(hold.member)
    if room is None or room.state is not State.ONLINE:
        return False
    index = fleet.catalog.index(want_key(hold.request, hold.needs, fleet.tally.shared))
    return room.kind in index.lacks and fleet.apart.admits(room, hold.request)


def _may_be_held(room: Room, request: Request, fleet: Fleet) -> bool:
    name = room.member.id
    return (
        room.state is State.ONLINE
        and request.node in (None, name)
        and not fleet.apart.is_held(name)
        and fleet.apart.admits(room, request)
    )
