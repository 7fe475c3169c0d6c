"""The members that could take a task of one want, sorted by rank."""

from __future__ import annotations

from array import array
from heapq import heappop, heappush

from skald_work_pools.placement.kinds import Kind, Want
from skald_work_pools.placement.score import NO_ROOM


class Index:
    """Buckets of members by rank; finding the best, moving one and drawing among equals take no search.

    A rank here may be too good for a member that has been given a task since, never too bad (``Catalog.sharpen``):
    who takes a member looks at its room first. ``lacks`` holds the kinds that suit the want, with what they lack.
    """

    __slots__ = ("_buckets", "_places", "_ranks", "_sorted", "lacks", "want")

    def __init__(self, want: Want, size: int) -> None:
        self.want = want
        self.lacks: dict[Kind, float] = {}
        self._ranks = array("i", (NO_ROOM,)) * size
        self._places = array("i", (0,)) * size
        self._buckets: dict[int, list[int]] = {}
        self._sorted: list[int] = []

    def grow(self) -> None:
        """Make place for one more member."""
        self._ranks.append(NO_ROOM)
        self._places.append(0)

    def move(self, member: int, rank: int) -> None:
        """Put the member where it belongs; ``NO_ROOM`` takes it out."""
        ranks = self._ranks
        before = ranks[member]
        if before == rank:
            return
        places = self._places
        if before != NO_ROOM:
            bucket = self._buckets[before]
            last = bucket.pop()
            if last != member:
                place = places[member]
                bucket[place] = last
                places[last] = place
        ranks[member] = rank
        if rank != NO_ROOM:
            found = self._buckets.get(rank)
            if found is None:
                self._buckets[rank] = found = []
                heappush(self._sorted, rank)
            places[member] = len(found)
            found.append(member)

    def best(self) -> tuple[int, list[int]] | None:
        """The lowest rank with the members that have it; not to be changed by the caller."""
        while self._sorted:
            rank = self._sorted[0]
            if found := self._buckets[rank]:
                return rank, found
            heappop(self._sorted)
            del self._buckets[rank]
        return None
