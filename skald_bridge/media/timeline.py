"""Times that jump, made to ascend: a camera whose clock was set, two transport streams joined. Pure."""

from __future__ import annotations

FORWARD = 10.0
"""Seconds; a transport stream that is silent for longer has jumped. Other containers may pause so long."""
BACKWARD = 0.5


class Timeline:
    """What to add to the times of each packet so that they ascend over every jump.

    All streams share one offset per stretch between two jumps, so that they keep their distance in it.
    """

    def __init__(self, *, forward: bool = False) -> None:
        """``forward``: a leap of more than ``FORWARD`` seconds is a jump too."""
        self._forward = forward
        self._offsets = [0.0]
        self._stretch: dict[int, int] = {}
        self._last: dict[int, float] = {}
        self._end = 0.0

    @property
    def jumps(self) -> int:
        return len(self._offsets) - 1

    def offset(self, stream: int, at: float, seconds: float) -> float:
        """Of a packet of ``stream`` with decoding time ``at`` that lasts ``seconds``."""
        stretch = self._stretch.get(stream, 0)
        last = self._last.get(stream)
        if last is not None and (at < last - BACKWARD or (self._forward and at > last + FORWARD)):
            stretch += 1
            if stretch == len(self._offsets):
                self._offsets.append(self._end - at)
        self._stretch[stream], self._last[stream] = stretch, at
        offset = self._offsets[stretch]
        self._end = max(self._end, at + seconds + offset)
        return offset
