"""Members kept apart: held for a waiting task, or reserved for an owner."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from skald_work_pools.placement.catalog import Catalog
from skald_work_pools.placement.index import Index
from skald_work_pools.placement.model import Hold, Request, Reservation
from skald_work_pools.placement.room import Room
from skald_work_pools.placement.score import NO_ROOM


class Apart:
    """Who may use what is kept apart.

    A reserved member is its owner's alone. On a held one others may run that end before the task is expected
    to start, or that take only what it leaves: it keeps back nothing that it cannot use.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._holds: dict[str, Hold] = {}
        self._held: dict[str, Hold] = {}
        self._reservations: dict[str, Reservation] = {}
        self._reserved: dict[str, Reservation] = {}

    @property
    def empty(self) -> bool:
        return not self._holds and not self._reservations

    def hold(self, hold: Hold) -> None:
        self.let_go(hold.request.task)
        self._holds[hold.request.task] = self._held[hold.member] = hold
        self._renew(hold.member)

    def let_go(self, task: str) -> None:
        hold = self._holds.pop(task, None)
        if hold is not None:
            del self._held[hold.member]
            self._renew(hold.member)

    def held_for(self, task: str) -> Hold | None:
        return self._holds.get(task)

    def is_held(self, member: str) -> bool:
        return member in self._held

    def holders(self) -> tuple[str, ...]:
        """The tasks for which a member is held."""
        return tuple(self._holds)

    def admits(self, room: Room, request: Request) -> bool:
        """Whether no reservation of another owner keeps the task away."""
        reserved = self._reserved.get(room.member.id)
        return reserved is None or reserved.owner == request.owner

    def reserve(self, reservation: Reservation) -> None:
        """Raises:
        ValueError: another reservation has one of the members.
        """
        taken = sorted(
            name
            for name in reservation.members
            if name in self._reserved and self._reserved[name].name != reservation.name
        )
        if taken:
            raise ValueError(f"{taken[0]} is reserved already: {self._reserved[taken[0]].name}")
        self.cancel(reservation.name)
        self._reservations[reservation.name] = reservation
        for name in sorted(reservation.members):
            self._reserved[name] = reservation
            self._renew(name)

    def cancel(self, name: str) -> None:
        """End a reservation; one that is not there is no error."""
        reservation = self._reservations.pop(name, None)
        if reservation is not None:
            for member in sorted(reservation.members):
                del self._reserved[member]
                self._renew(member)

    def expire(self, now: datetime) -> None:
        """End the reservations that are over."""
        if not self._reservations:
            return
        for reservation in [each for each in self._reservations.values() if each.until <= now]:
            self.cancel(reservation.name)

    def reservations(self) -> tuple[Reservation, ...]:
        return tuple(self._reservations.values())

    def entered(self, room: Room) -> None:
        """A member is new to the fleet."""
        if room.member.id in self._reserved or room.member.id in self._held:
            self._renew(room.member.id)

    def reason(self, room: Room, request: Request, now: datetime) -> str | None:
        """Why the task has no or less room here than there is."""
        reserved, held = self._reserved.get(room.member.id), self._held.get(room.member.id)
        if reserved is not None and reserved.owner != request.owner:
            return f"is reserved for {reserved.owner} until {reserved.until.isoformat()}"
        if held is not None and self.view(room, request, now) is not room:
            return f"is held for task {held.request.task}, of priority {held.request.priority}"
        return None

    def best(
        self, index: Index, request: Request, now: datetime, passing: Collection[str]
    ) -> tuple[int, Room, Room] | None:
        """Of the members kept apart the best: its rank, its room, and what of it the task may use."""
        found: tuple[int, Room, Room] | None = None
        for name in self._open_to(request):
            room = self._catalog.rooms.get(name)
            if room is None or (view := self.view(room, request, now, passing)) is None:
                continue
            score = self._catalog.true_rank(index, view)
            if score != NO_ROOM and (found is None or score < found[0]):
                found = score, room, view
        return found

    def view(self, room: Room, request: Request, now: datetime, passing: Collection[str] = ()) -> Room | None:
        """What of the room the task may use; ``passing`` are waiting tasks whose holds do not count for it."""
        held = self._held.get(room.member.id)
        if not self.admits(room, request):
            return None
        if held is None or held.request.task == request.task or held.request.task in passing:
            return room
        if (
            request.duration is not None
            and held.expected is not None
            and now + request.duration <= held.expected
        ):
            return room
        return room.beside(held.request, held.needs)

    def _open_to(self, request: Request) -> Iterator[str]:
        if self._held:
            yield from self._held
        for reservation in self._reservations.values():
            if reservation.owner == request.owner:
                yield from (name for name in sorted(reservation.members) if name not in self._held)

    def _renew(self, member: str) -> None:
        room = self._catalog.rooms.get(member)
        if room is not None:
            room.apart = member in self._held or member in self._reserved
            self._catalog.changed(room)
