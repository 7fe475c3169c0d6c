"""Numbers from pictures and sound, in one pass: the only decoding that analysis needs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import av
import av.audio.resampler
import numpy as np
from numpy.typing import NDArray

from skald_bridge.media.inputs import Source
from skald_bridge.media.probe import opened

WIDTH, HEIGHT = 64, 36
"""Pictures are measured at this size, in gray."""
SOUND_RATE = 16_000
SOUND_STEP = 0.05
"""Seconds of sound in one loudness value."""
SILENT_DB = -90.0
_BLACK_LUMA = 26  # of 255

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
        self.black.append(round(float((picture < _BLACK_LUMA).mean()), 4))
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


def join(parts: Iterable[Measures]) -> Measures:
    """Measures of consecutive parts as of one video; a cut between two parts is seen like any other."""
    whole = Measures()
    for part in parts:
        offset = whole.seconds
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


def measure(source: Source, *, on_progress: Callable[[float], None] | None = None) -> Measures:
    """Decode all of ``source``; ``on_progress`` gets seconds done.

    Raises:
        BadMedia, Unanswered: it cannot be read to its end.
    """
    made = Measures()
    loudness = _Loudness()
    with opened(source) as container:
        video = container.streams.video[0]
        video.thread_type = "AUTO"
        audio = container.streams.audio[0] if container.streams.audio else None
        made.sound = audio is not None
        start: float | None = None
        end = 0.0
        for packet in container.demux(*([video, audio] if audio else [video])):
            for frame in _decoded(packet):
                if isinstance(frame, av.VideoFrame):
                    at = frame.time or 0.0
                    start = at if start is None else start
                    step = float(frame.duration * (frame.time_base or 0)) or 0.04
                    end = max(end, at - start + step)
                    small = frame.reformat(width=WIDTH, height=HEIGHT, format="gray")
                    made.add(at - start, np.asarray(small.to_ndarray(), np.uint8))
                    if on_progress is not None and len(made.times) % 10 == 0:
                        on_progress(at - start)
                elif isinstance(frame, av.AudioFrame):
                    loudness.take(frame)
    made.seconds = round(end, 3)
    made.loudness = loudness.values()[: round(end / SOUND_STEP)]
    return made


def _decoded(packet: av.Packet[Any]) -> Iterable[object]:
    try:
        return packet.decode()
    except av.error.InvalidDataError:
        return ()  # one damaged packet is no reason to give up the rest


class _Loudness:
    def __init__(self) -> None:
        self._resampler = av.audio.resampler.AudioResampler(format="flt", layout="mono", rate=SOUND_RATE)
        self._blocks: list[NDArray[np.float32]] = []

    def take(self, frame: av.AudioFrame) -> None:
        frame.pts = None
        for block in self._resampler.resample(frame):
            self._blocks.append(block.to_ndarray().reshape(-1).astype(np.float32))

    def values(self) -> list[float]:
        if not self._blocks:
            return []
        sound = np.concatenate(self._blocks)
        size = int(SOUND_RATE * SOUND_STEP)
        rows = sound[: len(sound) // size * size].reshape(-1, size)
        power = np.sqrt((rows**2).mean(axis=1))
        decibel = 20 * np.log10(np.maximum(power, 10 ** (SILENT_DB / 20)))
        return [round(float(value), 1) for value in decibel]


def _text(picture: Gray | None) -> str | None:
    return None if picture is None else base64.b64encode(picture.tobytes()).decode()


def _picture(text: str | None) -> Gray | None:
    if text is None:
        return None
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(HEIGHT, WIDTH)
