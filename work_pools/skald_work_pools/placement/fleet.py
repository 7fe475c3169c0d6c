"""The fleet: reports come in, grants go out. No I/O and no clock; for one thread, every method answers at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from datetime import datetime
from heapq import heappop, heappush
from itertools import islice

from skald_work_pools.gpu_choice import choose_gpus
from skald_work_pools.needs import Needs
from skald_work_pools.placement.apart import Apart
from skald_work_pools.placement.catalog import Catalog
from skald_work_pools.placement.explain import lacking
from skald_work_pools.placement.kinds import Want, want_key
from skald_work_pools.placement.model import (
    NEVER,
    Change,
    Grant,
    Member,
    Refusal,
    Request,
    Settings,
    Standing,
    State,
    Used,
)
from skald_work_pools.placement.room import Room
from skald_work_pools.placement.score import NO_ROOM
from skald_work_pools.placement.silence import Silence
from skald_work_pools.placement.tally import Tally

_SPARE = 1000
"""Ends of leases that are noted beyond twice the grants before the notes are made anew."""


class Fleet:
    """All members, and what was granted on them.

    ``seed`` decides among near-equals: the same calls in the same order give the same answers. ``resources``
    are countable things that the whole fleet shares, such as licences. ``task_types`` and ``labels`` limit how
    many of their tasks there are at once.
    """

    def __init__(
        self,
        seed: int = 0,
        settings: Settings | None = None,
        resources: Mapping[str, int] | None = None,
        task_types: Mapping[str, int] | None = None,
        labels: Mapping[str, int] | None = None,
    ) -> None:
        self._settings = settings or Settings()
        self.catalog = Catalog(seed)
        self.apart = Apart(self.catalog)
        self.tally = Tally(resources or {}, task_types or {}, labels or {})
        self._grants: dict[str, Grant] = {}
        self._expiry: list[tuple[datetime, str]] = []
        self._expired: deque[Grant] = deque(maxlen=10_000)
        self._silence = Silence(self._settings)
        self._changes: list[Change] = []

    def report(self, member: Member, used: Used, now: datetime) -> tuple[Grant, ...]:
        """A heartbeat: the member is there, and has handed out so much.

        Answers the grants that ended by it: those that a node had among its leases, and has no more.
        """
        catalog = self.catalog
        room = catalog.rooms.get(member.id)
        if room is None:
            room = catalog.add(member, used, now)
            self._silence.heard(room, now)
            self.apart.entered(room)
            return ()
        self._silence.heard(room, now)
        catalog.settle()
        state = State.DRAINED if member.drained else State.ONLINE
        same = room.member is member or room.member == member
        if same and room.state is state and room.says_nothing_new(used):
            return ()
        returns, room.state = room.state is not state, state
        if not same:
            catalog.alter(room, member)
        before = room.free
        ended = room.believe(used)
        for grant in ended:
            self._forget(grant)
        if returns or not same or room.free != before:
            catalog.changed(room)
        return ended

    def remove(self, member_id: str) -> tuple[Grant, ...]:
        """The member is gone for good; answers the grants that ended by it. One that is not there is no error."""
        room = self.catalog.rooms.get(member_id)
        if room is None:
            return ()
        lost = self._lose(room)
        self._silence.forget(member_id)
        self.catalog.remove(room)
        return lost

    def place(self, request: Request, now: datetime, passing: Collection[str] = ()) -> Grant | Refusal:
        """The best member for the task, taken; the same task again gets the grant that it has.

        ``passing``: waiting tasks that come after this one, so that what is held for them may be taken.
        """
        self._catch_up(now)
        held = self._grants.get(request.task)
        if held is not None:
            return held
        if short := self.tally.short(request):
            return self._refused(request, short)
        self.catalog.sharpen()
        for number, needs in enumerate(request.alternatives):
            found = self._chosen(request, needs, now, passing)
            if found is not None:
                room, usable = found
                gpus = choose_gpus(needs, usable.gpus) if needs.gpus else ()
                assert gpus is not None
                return self._grant(request, number, room, gpus, now)
        return self._refused(request, None)

    def release(self, task: str, now: datetime) -> Grant | None:
        """The task has ended: its place is free. What a node has confirmed is free when the node says so.

        Answers the grant that ended; ``None`` where the task has none.
        """
        self._expire(now)
        grant = self._grants.get(task)
        if grant is not None:
            self._end(grant)
            self.catalog.settle()
        return grant

    def expire(self, now: datetime) -> tuple[Grant, ...]:
        """End the grants whose time is over, unless a node has confirmed them.

        Answers those that have ended so since this was asked last, the newest 10,000 of them.
        """
        self._expire(now)
        ended = tuple(self._expired)
        self._expired.clear()
        return ended

    def tick(self, now: datetime) -> tuple[Change, ...]:
        """Note who has fallen silent; an offline member's grants are lost. To be called about once a second."""
        self.catalog.settle()
        self._catch_up(now)
        for room in self._silence.newly_offline(now):
            before, room.state = room.state, State.OFFLINE
            self._changes.append(Change(room.member.id, before, State.OFFLINE, self._lose(room)))
        for room in self._silence.to_be_forgotten(now):
            self._changes.append(Change(room.member.id, room.state, None, self.remove(room.member.id)))
        changes, self._changes = tuple(self._changes), []
        return changes

    def members(self, now: datetime, most: int | None = None) -> list[Standing]:
        """All members, or the first ``most``, in the order in which they came."""
        self._expire(now)
        return [
            Standing(
                room.member,
                self._state(room, now),
                room.seen,
                room.tasks,
                room.load,
                tuple(room.grants.values()),
            )
            for room in islice(self.catalog.rooms.values(), most)
        ]

    def grant(self, task: str) -> Grant | None:
        return self._grants.get(task)

    def grants(self) -> tuple[Grant, ...]:
        """All grants, the oldest first."""
        return tuple(self._grants.values())

    def could_ever(self, request: Request) -> bool:
        """Whether a member of the fleet could take the task if it were idle."""
        return not self.tally.never(request) and any(
            self.catalog.suits_any(want_key(request, needs, self.tally.shared), request.node)
            for needs in request.alternatives
        )

    def explain(self, request: Request, now: datetime) -> dict[str, str]:
        """Member to what it lacks for the task; those that lack nothing are left out."""
        self._catch_up(now)
        short, found = self.tally.short(request), {}
        for name, room in self.catalog.rooms.items():
            reasons = (
                [short] if short else [self._lacking(request, one, room, now) for one in self._wants(request)]
            )
            told = [reason for reason in reasons if reason is not None]
            if len(told) == len(reasons):
                found[name] = "; or else ".join(dict.fromkeys(told))
        return found

    def _wants(self, request: Request) -> list[Want]:
        return [Want(want_key(request, needs, self.tally.shared)) for needs in request.alternatives]

    def _lacking(self, request: Request, want: Want, room: Room, now: datetime) -> str | None:
        usable = self.apart.view(room, request, now) if room.apart else room
        if usable is None:
            return self.apart.reason(room, request, now)
        reason = lacking(want, usable, request, now)
        if reason is None or usable is room:
            return reason
        return lacking(want, room, request, now) or self.apart.reason(room, request, now)

    def _catch_up(self, now: datetime) -> None:
        self._expire(now)
        self.apart.expire(now)
        for room in self._silence.newly_suspicious(now):
            self._changes.append(Change(room.member.id, room.state, State.SUSPICIOUS))
            room.state = State.SUSPICIOUS
            self.catalog.changed(room)

    def _expire(self, now: datetime) -> None:
        while self._expiry and self._expiry[0][0] <= now:
            at, task = heappop(self._expiry)
            grant = self._grants.get(task)
            if grant is None or grant.expires != at or task in self.catalog.rooms[grant.member].confirmed:
                continue
            self._end(grant)
            self._expired.append(grant)

    def _state(self, room: Room, now: datetime) -> State:
        """As the next tick would have it."""
        silent = now - room.seen
        if silent >= self._settings.offline:
            return State.OFFLINE
        return State.SUSPICIOUS if silent >= self._settings.suspicious else room.state

    def _chosen(
        self, request: Request, needs: Needs, now: datetime, passing: Collection[str]
    ) -> tuple[Room, Room] | None:
        """The room, and what of it may be used."""
        catalog = self.catalog
        index = catalog.index(want_key(request, needs, self.tally.shared))
        if request.node is not None:
            room = catalog.rooms.get(request.node)
            usable = self.apart.view(room, request, now, passing) if room is not None and room.apart else room
            fits = usable is not None and catalog.true_rank(index, usable) != NO_ROOM
            return (room, usable) if fits and room is not None and usable is not None else None
        best = catalog.best(index)
        if request.data and (nearer := catalog.holder(index, request.data, best)) is not None:
            return nearer, nearer
        if not self.apart.empty:
            kept = self.apart.best(index, request, now, passing)
            if kept is not None and (best is None or kept[0] < best[0]):
                return kept[1:]
        return (best[1], best[1]) if best is not None else None

    def _grant(
        self, request: Request, number: int, room: Room, gpus: tuple[str, ...], now: datetime
    ) -> Grant:
        expires = now + (request.lease or self._settings.lease)
        grant = Grant(request, room.member.id, room.member.address, number, gpus, now, expires)
        self._grants[request.task] = grant
        heappush(self._expiry, (expires, request.task))
        if len(self._expiry) > 2 * len(self._grants) + _SPARE:
            self._expiry = sorted((each.expires, each.task) for each in self._grants.values())
        self.tally.count(request, 1)
        self.apart.let_go(request.task)
        room.take(grant)
        self.catalog.took(room, bool(gpus))
        return grant

    def _end(self, grant: Grant) -> None:
        room = self.catalog.rooms[grant.member]
        room.drop(grant)
        self._forget(grant)
        self.catalog.changed(room)

    def _forget(self, grant: Grant) -> None:
        del self._grants[grant.task]
        self.tally.count(grant.request, -1)

    def _lose(self, room: Room) -> tuple[Grant, ...]:
        lost = tuple(room.grants.values())
        for grant in lost:
            self._end(grant)
        return lost

    def _refused(self, request: Request, reason: str | None) -> Refusal:
        if not self.could_ever(request):
            return Refusal(request.task, NEVER, never=True)
        return Refusal(request.task, reason or "no member of the fleet has room for it now")
