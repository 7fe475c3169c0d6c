"""The members with their rooms, and for each want the index of those that could take it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from skald_work_pools.placement.index import Index
from skald_work_pools.placement.kinds import Kind, KindKey, Want, WantKey, kind_key, suits
from skald_work_pools.placement.model import Member, State, Used
from skald_work_pools.placement.room import Room
from skald_work_pools.placement.score import DATA, NO_ROOM, rank

_MOST_INDEXES = 128
"""The indexes least recently used beyond these are dropped, and made again when they are asked for."""
_MOST_HOLDERS = 64
"""So many holders of a task's data are compared."""
_MULTIPLIER, _INCREMENT, _MASK = 6364136223846793005, 1442695040888963407, 2**64 - 1


class Catalog:
    """Members whose room changes are moved in every index at once, those that are given a task when there is time.

    A room ``apart`` (held for a waiting task, or reserved for an owner) is in no index.
    """

    def __init__(self, seed: int) -> None:
        self.rooms: dict[str, Room] = {}
        self._numbered: list[Room | None] = []
        self._unused: list[int] = []
        self._kinds: dict[KindKey, Kind] = {}
        self._indexes_of: dict[Kind, list[Index]] = {}
        self._indexes: dict[WantKey, Index] = {}
        self._unsettled: list[Room] = []
        self._blunt: list[tuple[Room, bool]] = []
        self._holders: dict[str, dict[int, None]] = {}
        self._draw = seed & _MASK

    def add(self, member: Member, used: Used, now: datetime) -> Room:
        if self._unused:
            number = self._unused.pop()
        else:
            number = len(self._numbered)
            self._numbered.append(None)
            for index in self._indexes.values():
                index.grow()
        room = Room(number, member, self._kind(member), used, now)
        self._numbered[number] = self.rooms[member.id] = room
        self._enter(room)
        return room

    def alter(self, room: Room, member: Member) -> None:
        """The member is another than it was: more tags, other code warm, drained."""
        self._leave(room)
        room.member, room.kind = member, self._kind(member)
        self._enter(room)

    def remove(self, room: Room) -> None:
        self._leave(room)
        del self.rooms[room.member.id]
        self._numbered[room.index] = None
        self._unused.append(room.index)

    def index(self, key: WantKey) -> Index:
        """Of all who could take it; made on first use, in time proportional to their number."""
        found = self._indexes.pop(key, None)
        if found is None:
            found = self._made(key)
        self._indexes[key] = found
        return found

    def best(self, index: Index) -> tuple[int, Room] | None:
        """One of those with the lowest rank, and that rank."""
        while (top := index.best()) is not None:
            expected, bucket = top
            number = bucket[self._drawn(len(bucket))] if len(bucket) > 1 else bucket[0]
            room = self._numbered[number]
            assert room is not None
            found = self.rank_of(index, room)
            if found == expected:
                return found, room
            index.move(number, found)
        return None

    def holder(self, index: Index, data: frozenset[str], best: tuple[int, Room] | None) -> Room | None:
        """The best of those that hold some of the data, if it is nearly as good as ``best``."""
        if best is None:
            return None
        found, limit = None, best[0] + DATA
        for name in sorted(data):
            for _, number in zip(range(_MOST_HOLDERS), self._holders.get(name, ()), strict=False):
                room = self._numbered[number]
                assert room is not None
                score = self.rank_of(index, room)
                if score != NO_ROOM and score <= limit and (found is None or score < limit):
                    found, limit = room, score
        return found

    def rank_of(self, index: Index, room: Room) -> int:
        """As the index should have it."""
        return NO_ROOM if room.apart else self.true_rank(index, room)

    def true_rank(self, index: Index, room: Room) -> int:
        """As if the room were not apart."""
        lacks = index.lacks.get(room.kind)
        if lacks is None or room.state is not State.ONLINE:
            return NO_ROOM
        return rank(index.want, room, lacks)

    def changed(self, room: Room) -> None:
        number = room.index
        for index in self._indexes_of[room.kind]:
            index.move(number, self.rank_of(index, room))

    def took(self, room: Room, gpus: bool) -> None:
        """The room has been given a task, with or without GPUs; the indexes learn it when there is time."""
        self._blunt.append((room, gpus))
        if not room.unsettled:
            room.unsettled = True
            self._unsettled.append(room)

    def sharpen(self) -> None:
        """Move what is better than an index has it: a room that took a task suits those that pack the more."""
        for room, gpus in self._blunt:
            if room.unsettled and self._numbered[room.index] is room:
                for index in self._indexes_of[room.kind]:
                    if index.want.pack or (gpus and index.want.gpus):
                        index.move(room.index, self.rank_of(index, room))
        self._blunt.clear()

    def settle(self) -> None:
        """Move whoever was given a task since the last time."""
        for room in self._unsettled:
            room.unsettled = False
            if self._numbered[room.index] is room:
                self.changed(room)
        self._unsettled.clear()
        self._blunt.clear()

    def suits_any(self, key: WantKey, node: str | None) -> bool:
        """Whether a member (the one named ``node``, where one is) could ever take it."""
        if node is None:
            return any(kind.rooms for kind in self.index(key).lacks)
        room = self.rooms.get(node)
        return room is not None and suits(Want(key), room.kind) is not None

    def rooms_of(self, kind: Kind) -> Iterator[Room]:
        return (room for number in kind.rooms if (room := self._numbered[number]) is not None)

    def _kind(self, member: Member) -> Kind:
        key = kind_key(member)
        kind = self._kinds.get(key)
        if kind is None:
            self._kinds[key] = kind = Kind(member)
            self._indexes_of[kind] = []
            for index in self._indexes.values():
                self._introduce(index, kind)
        return kind

    def _made(self, key: WantKey) -> Index:
        if len(self._indexes) >= _MOST_INDEXES:
            oldest = self._indexes.pop(next(iter(self._indexes)))
            for kind in oldest.lacks:
                self._indexes_of[kind].remove(oldest)
        index = Index(Want(key), len(self._numbered))
        for kind in self._kinds.values():
            if self._introduce(index, kind):
                for number in kind.rooms:
                    room = self._numbered[number]
                    assert room is not None
                    index.move(number, self.rank_of(index, room))
        return index

    def _enter(self, room: Room) -> None:
        room.kind.rooms[room.index] = None
        for name in room.member.data:
            self._holders.setdefault(name, {})[room.index] = None
        self.changed(room)

    def _leave(self, room: Room) -> None:
        kind = room.kind
        for index in self._indexes_of[kind]:
            index.move(room.index, NO_ROOM)
        for name in room.member.data:
            del self._holders[name][room.index]
            if not self._holders[name]:
                del self._holders[name]
        del kind.rooms[room.index]
        if not kind.rooms:
            del self._kinds[kind_key(room.member)]
            for index in self._indexes_of.pop(kind):
                del index.lacks[kind]

    def _drawn(self, count: int) -> int:
        self._draw = (self._draw * _MULTIPLIER + _INCREMENT) & _MASK
        return (self._draw >> 33) % count

    def _introduce(self, index: Index, kind: Kind) -> bool:
        lacks = suits(index.want, kind)
        if lacks is None:
            return False
        index.lacks[kind] = lacks
        self._indexes_of[kind].append(index)
        return True
