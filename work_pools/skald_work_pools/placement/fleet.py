"""The fleet: reports come in, grants go out. No I/O and no clock; for one thread, every method answers at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from heapq import heappop, heappush

from skald_work_pools.gpu_choice import choose_gpus
from skald_work_pools.needs import Needs
from skald_work_pools.placement.catalog import Catalog
from skald_work_pools.placement.explain import lacking
from skald_work_pools.placement.kinds import Want, want_key
from skald_work_pools.placement.model import (
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

_ONE_BY_ONE = 2
"""Members whose loss of room is noted with each report: more than one, so that they never pile up."""
_MANY = 1000


class Fleet:
    """All members, and what was granted on them.

    ``seed`` decides among near-equals: the same calls in the same order give the same answers. ``resources``
    are countable things that the whole fleet shares, such as licences.
    """

    def __init__(
        self, seed: int = 0, settings: Settings | None = None, resources: Mapping[str, int] | None = None
    ) -> None:
        self._settings = settings or Settings()
        self._catalog = Catalog(seed)
        self._total = dict(resources or {})
        self._resources = dict(self._total)
        self._shared = frozenset(self._resources)
        self._grants: dict[str, Grant] = {}
        self._expiry: list[tuple[datetime, str]] = []
        self._silence = Silence(self._settings)
        self._changes: list[Change] = []

    def report(self, member: Member, used: Used, now: datetime) -> tuple[Grant, ...]:
        """A heartbeat: the member is there, and has handed out so much.

        Answers the grants that ended by it: those that a node had among its leases, and has no more.
        """
        catalog = self._catalog
        room = catalog.rooms.get(member.id)
        if room is None:
            self._silence.heard(catalog.add(member, used, now), now)
            return ()
        self._silence.heard(room, now)
        catalog.settle(_ONE_BY_ONE)
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
            catalog.improved(room)
        return ended

    def remove(self, member_id: str) -> tuple[Grant, ...]:
        """The member is gone for good; answers the grants that ended by it. One that is not there is no error."""
        room = self._catalog.rooms.get(member_id)
        if room is None:
            return ()
        lost = self._lose(room)
        self._silence.forget(member_id)
        self._catalog.remove(room)
        return lost

    def place(self, request: Request, now: datetime) -> Grant | Refusal:
        """The best member for the task, taken; the same task again gets the grant that it has."""
        self._catch_up(now)
        held = self._grants.get(request.task)
        if held is not None:
            return held
        if short := self._short(request):
            return self._refused(request, short)
        for number, needs in enumerate(request.alternatives):
            room = self._chosen(request, needs)
            if room is not None:
                gpus = choose_gpus(needs, room.gpus) if needs.gpus else ()
                assert gpus is not None
                return self._grant(request, number, room, gpus, now)
        return self._refused(request, None)

    def release(self, task: str, now: datetime) -> Grant | None:
        """The task has ended: its place is free. What a node has confirmed is free when the node says so.

        Answers the grant that ended; ``None`` where the task has none.
        """
        self.expire(now)
        grant = self._grants.get(task)
        if grant is not None:
            self._end(grant)
        return grant

    def expire(self, now: datetime) -> tuple[Grant, ...]:
        """End the grants whose time is over, unless a node has confirmed them."""
        if not self._expiry or self._expiry[0][0] > now:
            return ()
        ended = []
        while self._expiry and self._expiry[0][0] <= now:
            at, task = heappop(self._expiry)
            grant = self._grants.get(task)
            if grant is None or grant.expires != at or task in self._catalog.rooms[grant.member].confirmed:
                continue
            self._end(grant)
            ended.append(grant)
        return tuple(ended)

    def tick(self, now: datetime) -> tuple[Change, ...]:
        """Note who has fallen silent; an offline member's grants are lost. To be called about once a second."""
        self._catalog.settle(_MANY)
        self._catch_up(now)
        for room in self._silence.newly_offline(now):
            before, room.state = room.state, State.OFFLINE
            self._changes.append(Change(room.member.id, before, State.OFFLINE, self._lose(room)))
        for room in self._silence.to_be_forgotten(now):
            self._changes.append(Change(room.member.id, room.state, None, self.remove(room.member.id)))
        changes, self._changes = tuple(self._changes), []
        return changes

    def members(self, now: datetime) -> list[Standing]:
        """All members, in the order in which they came."""
        self.expire(now)
        return [
            Standing(
                room.member,
                self._state(room, now),
                room.seen,
                room.tasks,
                room.load,
                tuple(room.grants.values()),
            )
            for room in self._catalog.rooms.values()
        ]

    def grant(self, task: str) -> Grant | None:
        return self._grants.get(task)

    def explain(self, request: Request, now: datetime) -> dict[str, str]:
        """Member to what it lacks for the task; those that lack nothing are left out."""
        wants = [Want(want_key(request, needs, self._shared)) for needs in request.alternatives]
        short = self._short(request)
        found = {}
        for name, room in self._catalog.rooms.items():
            reasons = [short] if short else [lacking(want, room, request, now) for want in wants]
            told = [reason for reason in reasons if reason is not None]
            if len(told) == len(reasons):
                found[name] = "; or else ".join(dict.fromkeys(told))
        return found

    def _catch_up(self, now: datetime) -> None:
        self.expire(now)
        for room in self._silence.newly_suspicious(now):
            self._changes.append(Change(room.member.id, room.state, State.SUSPICIOUS))
            room.state = State.SUSPICIOUS
            self._catalog.improved(room)

    def _state(self, room: Room, now: datetime) -> State:
        """As the next tick would have it."""
        silent = now - room.seen
        if silent >= self._settings.offline:
            return State.OFFLINE
        return State.SUSPICIOUS if silent >= self._settings.suspicious else room.state

    def _chosen(self, request: Request, needs: Needs) -> Room | None:
        catalog, key = self._catalog, want_key(request, needs, self._shared)
        index = catalog.index(key)
        if request.node is not None:
            room = catalog.rooms.get(request.node)
            return room if room is not None and catalog.rank_of(index, room) != NO_ROOM else None
        best = catalog.best(index)
        if request.data and (nearer := catalog.holder(index, request.data, best)) is not None:
            return nearer
        return best[1] if best is not None else None

    def _grant(
        self, request: Request, number: int, room: Room, gpus: tuple[str, ...], now: datetime
    ) -> Grant:
        expires = now + (request.lease or self._settings.lease)
        grant = Grant(request, room.member.id, room.member.address, number, gpus, now, expires)
        self._grants[request.task] = grant
        heappush(self._expiry, (expires, request.task))
        if len(self._expiry) > 2 * len(self._grants) + _MANY:
            self._expiry = sorted((each.expires, each.task) for each in self._grants.values())
        for name, count in request.resources.items():
            if name in self._resources:
                self._resources[name] -= count
        room.take(grant)
        self._catalog.worsened(room)
        return grant

    def _end(self, grant: Grant) -> None:
        room = self._catalog.rooms[grant.member]
        room.drop(grant)
        self._forget(grant)
        self._catalog.improved(room)

    def _forget(self, grant: Grant) -> None:
        del self._grants[grant.task]
        for name, count in grant.request.resources.items():
            if name in self._resources:
                self._resources[name] += count

    def _lose(self, room: Room) -> tuple[Grant, ...]:
        lost = tuple(room.grants.values())
        for grant in lost:
            self._end(grant)
        return lost

    def _short(self, request: Request) -> str | None:
        """What the fleet as a whole has too little of."""
        for name, count in request.resources.items():
            if name in self._resources and count > self._resources[name]:
                return f"needs {count} {name}, the fleet has {self._resources[name]} free"
        return None

    def _refused(self, request: Request, reason: str | None) -> Refusal:
        never = any(
            count > self._total.get(name, count) for name, count in request.resources.items()
        ) or not any(
            self._catalog.suits_any(want_key(request, needs, self._shared), request.node)
            for needs in request.alternatives
        )
        if never:
            return Refusal(request.task, "no member of the fleet could ever take it", never=True)
        return Refusal(request.task, reason or "no member of the fleet has room for it now")
