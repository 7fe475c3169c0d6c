"""Numbers from pictures and sound, in one pass: the only decoding that analysis needs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from skald_bridge.media.contents import PacketTally, Reading
from skald_bridge.media.inputs import Source
from skald_bridge.media.loudness import SILENT_DB, Loudness
from skald_bridge.media.loudness import STEP as SOUND_STEP
from skald_bridge.media.probe import Probe, opened, probe, tracks_of

WIDTH, HEIGHT = 64, 36
"""Pictures are measured at this size, in gray."""
BLACK_LUMA = 26  # of 255

Gray = NDArray[np.uint8]


@dataclass
class Measures:
    """Per picture: time, mean luma (0…1), black share (0…1), change to the picture before (0…1).

    ``loudness``: one dBFS value per ``SOUND_STEP`` seconds, empty without sound. ``first`` and ``last`` are
    the outer pictures, so that neighbours can be joined.
    """

    times: list[float] = field(default_factory=list)
    luma: list[float] = field(default_factory=list)
    black: list[float] = field(default_factory=list)
    change: list[float] = field(default_factory=list)
    loudness: list[float] = field(default_factory=list)
    sound: bool = False
    seconds: float = 0.0
    first: Gray | None = None
    last: Gray | None = None

    def add(self, at: float, picture: Gray) -> None:
        self.change.append(difference(self.last, picture) if self.last is not None else 0.0)
        self.times.append(round(at, 3))
        self.luma.append(round(float(picture.mean()) / 255, 4))
        self.black.append(round(float((picture < BLACK_LUMA).mean()), 4))
        if self.first is None:
            self.first = picture
        self.last = picture

    def json(self) -> dict[str, Any]:
        """A JSON object that ``of`` reads back."""
        rest = {key: value for key, value in vars(self).items() if key not in ("first", "last")}
        return {**rest, "first": _text(self.first), "last": _text(self.last)}

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(**{**data, "first": _picture(data["first"]), "last": _picture(data["last"])})


def difference(before: Gray, after: Gray) -> float:
    """Mean absolute difference of two gray pictures, 0…1."""
    return round(float(np.abs(after.astype(np.int16) - before).mean()) / 255, 5)


def join(parts: Iterable[Measures], starts: Sequence[float] = ()) -> Measures:
    """Measures of consecutive parts as of one video; a cut between two parts is seen like any other.

    ``starts``: seconds of each part in the whole; without it they follow each other.
    """
    whole = Measures()
    for index, part in enumerate(parts):
        offset = starts[index] if starts else whole.seconds
        change = list(part.change)
        if change and whole.last is not None and part.first is not None:
            change[0] = difference(whole.last, part.first)
        whole.times += [round(offset + t, 3) for t in part.times]
        whole.luma += part.luma
        whole.black += part.black
        whole.change += change
        quiet = round(offset / SOUND_STEP) - len(whole.loudness)
        whole.loudness = whole.loudness[: round(offset / SOUND_STEP)] + [SILENT_DB] * max(0, quiet)
        whole.loudness += part.loudness
        whole.sound = whole.sound or part.sound
        whole.first = part.first if whole.first is None else whole.first
        whole.last = part.last if part.last is not None else whole.last
        whole.seconds = round(offset + part.seconds, 3)
    return whole


def measure(
    source: Source,
    facts: Probe | None = None,
    *,
    on_picture: Callable[[float, av.VideoFrame], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Measures:
    """``measure_all`` without what the packets said."""
    return measure_all(source, facts or probe(source), on_picture=on_picture, on_progress=on_progress)[0]


def measure_all(
    source: Source,
    facts: Probe,
    *,
    on_picture: Callable[[float, av.VideoFrame], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> tuple[Measures, Reading]:
    """Decode all of ``source``, and count its packets; ``on_progress`` gets seconds done.

    ``on_picture`` gets every picture with its time in seconds from the first one.

    Raises:
        BadMedia, Unanswered: it cannot be read to its end.
    """
    made = Measures(sound=facts.sound is not None)
    loudness = Loudness()
    shrink = VideoReformatter()  # one for all pictures: setting it up costs more than its work
    early: list[av.AudioFrame] = []
    with opened(source) as container:
        video, audio = tracks_of(container, facts)
        video.thread_type = "AUTO"
        tally = PacketTally(container, facts)
        start: float | None = None
        last = -1 / facts.fps
        end = 0.0
        for packet in container.demux(*([video, audio] if audio else [video])):
            tally.take(packet)
            for frame in _decoded(packet):
                if isinstance(frame, av.AudioFrame):
                    early.append(frame)
                elif isinstance(frame, av.VideoFrame):
                    step = float((frame.duration or 0) * (frame.time_base or 0)) or 1 / facts.fps
                    start = frame.time if start is None else start
                    at = last + step if frame.time is None or start is None else frame.time - start
                    at = last = max(at, last + 0.001)
                    end = at + step
                    small = shrink.reformat(frame, width=WIDTH, height=HEIGHT, format="gray")
                    made.add(at, np.asarray(small.to_ndarray(), np.uint8))
                    if on_picture is not None:
                        on_picture(at, frame)
                    if on_progress is not None and len(made.times) % 10 == 0:
                        on_progress(at)
            if start is not None or made.times:
                for frame in early:
                    loudness.take(frame, (frame.time or 0.0) - (start or 0.0))
                early.clear()
    made.seconds = round(end, 3)
    made.loudness = loudness.values(end) if made.sound else []
    return made, tally.reading()


def _decoded(packet: av.Packet[Any]) -> Iterable[object]:
    try:
        return packet.decode()
    except av.error.InvalidDataError:
        return ()  # one damaged packet is no reason to give up the rest


def _text(picture: Gray | None) -> str | None:
    return None if picture is None else base64.b64encode(picture.tobytes()).decode()


def _picture(text: str | None) -> Gray | None:
    if text is None:
        return None
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(HEIGHT, WIDTH)
