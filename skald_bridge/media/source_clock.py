"""One rising timeline out of timestamps that jump. Pure: how long a packet was waited for is an argument."""

from __future__ import annotations

from dataclasses import dataclass, field

BACK = 0.1
"""Seconds that a track may step back without its clock having jumped: packets out of order."""
NEAR = 1.0
"""Two tracks of one clock lie at most so many seconds apart."""
FORWARD_FILE = 10.0
FORWARD_LIVE = 2.0
_KEPT = 4


@dataclass(frozen=True)
class Placed:
    """``offset``: seconds to add to the packet's times. ``jumped``: here the source's clock jumped."""

    offset: float
    jumped: bool = False


@dataclass
class _Track:
    offset: float
    last: float
    end: float
    placed: Placed


@dataclass
class SourceClock:
    """Where each packet lies. ``forward``: whether a leap ahead is taken for a clock that jumped.

    A gap in a container whose times are kept (mp4, Matroska) is a gap; in a transport stream and from a camera
    a leap of hours is a clock that was set.
    """

    forward: bool
    _tracks: dict[int, _Track] = field(default_factory=dict)
    _offsets: list[float] = field(default_factory=lambda: [0.0])

    def place(self, track: int, at: float, length: float, waited: float | None = None) -> Placed:
        """The packet of ``track`` that is to be decoded ``at`` seconds and lasts ``length``.

        ``waited``: seconds since the track's packet before it arrived, of a live source.
        """
        known = self._tracks.get(track)
        if known is None:
            # a track that begins later belongs to the newest clock, if it lies near it
            offset = self._offsets[-1]
            placed = Placed(offset)
            self._tracks[track] = _Track(offset, at + offset, at + offset + length, placed)
            return placed
        placed = known.placed
        if not self._plausible(known, at + known.offset, waited):
            known.offset, jumped = self._other(known, at)
            known.placed = Placed(known.offset)
            placed = Placed(known.offset, jumped)
        mapped = at + known.offset
        if mapped > known.last:
            known.last = mapped
        if mapped + length > known.end:
            known.end = mapped + length
        return placed

    def _plausible(self, known: _Track, mapped: float, waited: float | None) -> bool:
        if mapped < known.last - BACK:
            return False
        ahead = mapped - known.end
        if waited is not None:
            return ahead <= FORWARD_LIVE + 2 * waited
        return not self.forward or ahead <= FORWARD_FILE

    def _other(self, known: _Track, at: float) -> tuple[float, bool]:
        """A clock that another track already follows, else a new one."""
        near = [each for each in self._offsets if -BACK <= at + each - known.last <= NEAR]
        if near:
            return near[-1], False
        ends = [each.end for each in self._tracks.values() if abs(each.end - known.end) <= NEAR]
        offset = max(ends) - at
        self._offsets = [*self._offsets, offset][-_KEPT:]
        return offset, True
