"""Times for packets that a container gives none: from the times of their neighbours, or by decoding.

A packet's decode time rises from packet to packet, its presentation time follows the order in which pictures
are shown. Matroska knows the second alone, AVI the first alone, a raw stream neither.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, TypeAlias

import av
import av.error
import av.stream

LOOKAHEAD = 18
"""Packets looked at before the first is given out; H.264 and H.265 reorder 16 pictures at most."""
Packet: TypeAlias = "av.Packet[av.stream.Stream]"


class DecodeTimes:
    """Decode times of pictures of which the presentation times are known. Pure.

    They rise, and none is later than its picture's presentation; the delay between both is that of the first
    stretch.
    """

    def __init__(self, first: Sequence[int]) -> None:
        """``first``: the presentation times of the first packets."""
        ordered = sorted(first)
        self._delay = max((early - at for early, at in zip(ordered, first, strict=True)), default=0)
        self._last: int | None = None

    def next(self, waiting: Sequence[int]) -> int:
        """The next packet's decode time; ``waiting``: presentation times of it and those known after it."""
        at = min(waiting) - self._delay if self._last is None else max(min(waiting) - self._delay, self._last)
        self._last = at
        return at


class Ordering:
    """Packets in and, in the same order, packets with times out.

    Sound waits with its picture, so that nothing overtakes. What an end-of-stream packet says is left out.
    """

    def __init__(self, picture: Any, *, decode: bool = False) -> None:
        """``decode``: what ``picture``'s container says about the presentation is not to be believed."""
        self._picture = picture
        self._decode = decode
        self._waiting: deque[Packet] = deque()
        self._pictures: deque[Packet] = deque()
        self._decided = False
        self._derive: DecodeTimes | None = None
        self._shown: deque[int] = deque()
        self._decoded: _DisplayOrder | None = None

    def push(self, packet: Packet) -> list[Packet]:
        if not packet.size:
            return []
        if packet.stream.index != self._picture.index:
            if packet.dts is None:
                packet.dts = packet.pts
            if not self._waiting:
                return [packet]
            self._waiting.append(packet)
            return []
        if self._decided and self._derive is None and self._decoded is None:
            return [packet]
        self._waiting.append(packet)
        self._pictures.append(packet)
        if self._decided:
            self._know(packet)
        elif len(self._pictures) < LOOKAHEAD and (not self._complete() or self._pictures[0].pts is None):
            return []
        elif not self._decided:
            self._decide()
        return self._ready(last=False)

    def flush(self) -> list[Packet]:
        """The rest, when the stream has ended."""
        if not self._decided:
            self._decide()
        return self._ready(last=True)

    def _complete(self) -> bool:
        return not self._decode and all(
            packet.dts is not None and packet.pts is not None for packet in self._pictures
        )

    def _decide(self) -> None:
        self._decided = True
        first = list(self._pictures)
        shown = [packet.pts for packet in first if packet.pts is not None]
        if self._complete():
            return
        if len(shown) == len(first) and not self._decode:
            self._derive = DecodeTimes(shown)
        else:
            self._decoded = _DisplayOrder(self._picture)
        for packet in first:
            self._know(packet)

    def _know(self, packet: Packet) -> None:
        if self._derive is not None:
            if packet.pts is None:
                packet.pts = (self._shown[-1] if self._shown else 0) + (packet.duration or 1)
            self._shown.append(packet.pts)
        elif self._decoded is not None:
            self._decoded.take(packet)

    def _ready(self, *, last: bool) -> list[Packet]:
        if self._derive is None and self._decoded is None:
            return self._release(len(self._pictures))
        ahead = 0 if last else LOOKAHEAD
        if self._decoded is not None:
            if last:
                self._decoded.finish()
            count = self._decoded.known(len(self._pictures), last=last)
        else:
            count = len(self._pictures) - ahead
        return self._release(max(0, count))

    def _release(self, count: int) -> list[Packet]:
        """``count`` pictures and the sound among them; sound after the last goes with it."""
        out: list[Packet] = []
        while self._waiting:
            packet = self._waiting[0]
            if self._pictures and packet is self._pictures[0]:
                if not count:
                    break
                count -= 1
                self._timed(packet)
                self._pictures.popleft()
            out.append(self._waiting.popleft())
        return out

    def _timed(self, packet: Packet) -> None:
        if self._derive is not None:
            packet.dts = self._derive.next(self._shown)
            self._shown.remove(min(self._shown))
        elif self._decoded is not None:
            packet.dts, packet.pts = self._decoded.times()


class _DisplayOrder:
    """Presentation times by decoding: the order in which a decoder gives the pictures out."""

    def __init__(self, stream: Any) -> None:
        context = stream.codec_context
        self._decoder = av.CodecContext.create(context.name, "r")
        if context.extradata:
            self._decoder.extradata = context.extradata
        self._length = _length(stream)
        self._last = -self._length
        self._decode_times: deque[int] = deque()
        self._coming: deque[int] = deque()  # numbers of packets, in decoding order, not yet given out
        self._places: dict[int, int] = {}  # packet → place in the order of display
        self._taken = self._given = 0
        self._delay = 0
        self._started = False

    def take(self, packet: Packet) -> None:
        number, self._taken = self._taken, self._taken + 1
        self._last = packet.dts if packet.dts is not None else self._last + self._length
        self._decode_times.append(self._last)
        self._coming.append(number)
        copy = av.Packet(bytes(packet))
        copy.pts = copy.dts = number
        self._frames(copy)

    def finish(self) -> None:
        self._frames(None)

    def known(self, waiting: int, *, last: bool) -> int:
        """How many of the packets that wait can be given out."""
        if last:
            return waiting
        if not self._started and self._taken < LOOKAHEAD:
            return 0
        self._started = True
        count = 0
        for number in self._coming:
            # a packet of which no picture came in so long a time gives none
            if number not in self._places and self._taken - number <= LOOKAHEAD:
                break
            count += 1
        return min(count, waiting)

    def times(self) -> tuple[int, int]:
        """Decode and presentation time of the next packet."""
        number = self._coming.popleft()
        at = self._decode_times.popleft()
        place = self._places.pop(number, number)
        # the first picture is shown when the first packet is due: the delay belongs to decoding
        early = at - self._delay * self._length
        return early, max(early, at + (place - number) * self._length)

    def _frames(self, packet: Any) -> None:
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            return
        for frame in frames:
            if frame.pts is None:
                continue
            self._places[frame.pts] = self._given
            if not self._started:
                self._delay = max(self._delay, frame.pts - self._given)
            self._given += 1


def _length(stream: Any) -> int:
    """One picture, in units of the stream's time base."""
    rate = stream.average_rate or stream.guessed_rate or 25
    return max(1, round(float(1 / (rate * stream.time_base))))
