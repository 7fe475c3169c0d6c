"""One connection to a source, made ready to be written: one timeline, sound that the container carries."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.media import carriage
from skald_bridge.media.carriage import Container
from skald_bridge.media.errors import BadMedia
from skald_bridge.media.inputs import Source
from skald_bridge.media.key_frames import KeyFrames
from skald_bridge.media.packets import PacketReader, Tracks
from skald_bridge.media.probe import TIMEOUT
from skald_bridge.media.sound import AacEncoder
from skald_bridge.media.source_clock import SourceClock

_LATEST = 1.0
"""Seconds of one track that wait for the other."""


@dataclass(frozen=True)
class Resume:
    """Where a source that can be read again is taken up: after ``pictures`` pictures.

    ``at``: the time at which the source shows the next one, a key frame; ``None``: not known, or not unique.
    """

    pictures: int
    at: float | None = None


@dataclass(slots=True)
class Item:
    """A packet, its times on the connection's timeline, in seconds.

    ``at``: when it is decoded; ``presented``: when it is shown or heard; ``base``: one of its ticks. ``shown``: the
    time that the source itself gives the picture. ``jumped``: the source's clock was set before it; ``changed``:
    its pictures are of another kind than those before. ``arrived``: monotonic.
    """

    packet: Any
    picture: bool
    key: bool
    at: float
    presented: float
    base: float
    arrived: float
    shown: float = 0.0
    jumped: bool = False
    changed: bool = False


class PacketIntake:
    """Items of one source for one container. As a context manager; leaving it hangs up.

    ``left_out``: in words, what of the source is not taken; ``key_frames``: what they say of its pictures;
    ``picture_codec``: its canonical name; ``sounds``: packets of sound since somebody set it to 0.
    """

    def __init__(
        self,
        source: Source,
        container: Container,
        *,
        timeout: float = TIMEOUT,
        resume: Resume | None = None,
        patience: float = TIMEOUT,
    ) -> None:
        self._source = source
        self._container: Container = container
        self._resume = resume
        seek = resume.at if resume is not None and source.path is None else None
        self._reader = PacketReader(source, timeout=timeout, seek=seek, patience=patience)
        self._lanes: dict[bool, deque[tuple[float, Item]]] = {True: deque(), False: deque()}
        self._arrived: dict[bool, float] = {}
        self.resumed = resume is not None and resume.pictures > 0
        self.left_out: list[str] = []
        self.sounds = 0
        self._live = source.live
        self._first: float | None = None
        self._last = 0.0

    def __enter__(self) -> PacketIntake:
        """Raises BadMedia, Unanswered: it cannot be opened. InvalidInput: the container cannot hold it."""
        self._reader.__enter__()
        try:
            self._begin(self._reader.tracks())
        except BaseException:
            self._reader.__exit__()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.__exit__()

    def items(self) -> Iterator[Item | None]:
        """What came, in the order of its times; ``None`` where nothing came for a moment.

        Raises:
            BadMedia, Unanswered: the source broke off; what had come is given out before.
        """
        broken: Exception | None = None
        packets = self._reader.packets()
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except Exception as error:
                broken = error
                break
            if packet is None:
                yield None
                continue
            self._take(packet)
            yield from self._merged(last=False)
        if self._encoder is not None:
            for made in self._encoder.finish():
                self._push(self._encoded(made, time.monotonic()))
        yield from self._merged(last=True)
        if broken is not None:
            raise broken

    @property
    def came(self) -> float:
        """Seconds of the source that have come, from the first packet on."""
        return self._last - self._first if self._first is not None else 0.0

    def _begin(self, tracks: Tracks) -> None:
        self.tracks = tracks
        self.left_out = list(tracks.left_out)
        picture = tracks.picture.codec_context
        self.picture_codec: str = picture.codec.canonical_name
        if not carriage.carries_picture(self._container, self.picture_codec):
            raise InvalidInput(
                f"container {self._container!r} cannot hold this input ({self.picture_codec})",
                remedy=carriage.remedy_for_picture(self._container, self.picture_codec),
            )
        self._picture: int = tracks.picture.index
        self.key_frames = KeyFrames(tracks.picture)
        self._frame = 1 / float(tracks.picture.average_rate or tracks.picture.guessed_rate or 25)
        self._bases = {True: float(tracks.picture.time_base)}
        if tracks.sound is not None:
            self._bases[False] = float(tracks.sound.time_base)
        self._clock = SourceClock(forward=tracks.rebased)
        self.sound, self._encoder = self._sound(tracks.sound)
        codecs = [self.picture_codec, *([self._sound_codec] if self.sound is not None else [])]
        self.codec = "/".join(codecs)
        self._seeks = self._resume is not None and self._resume.at is not None and tracks.seekable
        self._skipping = self._resume is not None and self._resume.pictures > 0
        self._skipped = 0

    def _sound(self, stream: Any | None) -> tuple[Any | None, AacEncoder | None]:
        """The track that is written, and the encoder that makes it where it is not copied."""
        if stream is None:
            return None, None
        context = stream.codec_context
        name: str = context.codec.canonical_name
        usable = bool(context.sample_rate and context.channels)
        how = carriage.for_sound(self._container, name, decoder=usable)
        self._sound_codec = "aac" if how == "aac" else name
        if how == "none":
            self.left_out.append(f"track {stream.index} (sound {name}, of which the rate is not known)")
            return None, None
        if how == "copy":
            return stream, None
        encoder = AacEncoder(stream)
        return encoder, encoder

    def _take(self, packet: Any) -> None:
        picture = packet.stream_index == self._picture
        if self._skipping and not self._found(packet, picture):
            return
        now = time.monotonic()
        self.sounds += not picture
        base = self._bases[picture]
        pts, dts = packet.pts, packet.dts
        shown = (pts if pts is not None else dts or 0) * base
        length = (packet.duration or 0) * base or (self._frame if picture else 0.0)
        if dts is None:  # a camera that has not yet said what its clock shows
            dts = pts if pts is not None else round(self._next(picture) / base)
        waited = None
        if self._live:
            waited = now - self._arrived.get(picture, now)
            self._arrived[picture] = now
        placed = self._clock.place(int(picture), dts * base, length, waited)
        shift = round(placed.offset / base)
        packet.dts = dts = dts + shift
        packet.pts = pts = dts if pts is None else pts + shift
        at = dts * base
        if self._first is None:
            self._first = self._last = at
        if at < self._first:
            self._first = at
        if at + length > self._last:
            self._last = at + length
        if picture or self._encoder is None:
            key = picture and bool(packet.is_keyframe)
            changed = key and self.key_frames.changed(packet)
            jumped = picture and placed.jumped
            self._push(Item(packet, picture, key, at, pts * base, base, now, shown, jumped, changed))
            return
        for made in self._encoder.encode(packet, pts * base):
            self._push(self._encoded(made, now))

    def _encoded(self, packet: Any, arrived: float) -> Item:
        base = float(packet.time_base)
        at = packet.dts * base
        return Item(packet, False, False, at, at, base, arrived)

    def _next(self, picture: bool) -> float:
        lane = self._lanes[picture]
        return lane[-1][0] + (self._frame if picture else 0.02) if lane else 0.0

    def _found(self, packet: Any, picture: bool) -> bool:
        """Whether the source is taken up from this packet on."""
        assert self._resume is not None
        if not picture:
            return False
        if self._seeks and self._resume.at is not None:
            shown = float(packet.pts * self._bases[True])
            if not self._skipped and shown > self._resume.at + self._frame / 2:
                raise BadMedia(f"input {self._source.display!r} cannot be taken up where it broke off")
            self._skipped += 1
            found = bool(packet.is_keyframe) and abs(shown - self._resume.at) < self._frame / 2
        else:
            found = self._skipped >= self._resume.pictures
            self._skipped += 1
        self._skipping = not found
        return found

    def _push(self, item: Item) -> None:
        lane = self._lanes[item.picture]
        lane.append((max(item.at, lane[-1][0]) if lane else item.at, item))

    def _merged(self, *, last: bool) -> Iterator[Item]:
        """Picture and sound by their times, so that a cut divides both at the same moment."""
        picture, sound = self._lanes[True], self._lanes[False]
        while picture or sound:
            if picture and sound:
                lane = picture if picture[0][0] <= sound[0][0] else sound
            else:
                lane = picture or sound
                alone = self.sound is None and lane is picture
                if not (last or alone) and lane[-1][0] - lane[0][0] <= _LATEST:
                    return
            yield lane.popleft()[1]
