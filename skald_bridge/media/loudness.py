"""How loud a sound track is, at the times at which a player plays it."""

from __future__ import annotations

import av
import av.audio.resampler
import numpy as np
from numpy.typing import NDArray

RATE = 16_000
STEP = 0.05
"""Seconds of sound in one value."""
SILENT_DB = -90.0
_SIZE = round(RATE * STEP)
_SLACK = round(RATE * 0.06)  # less is the rounding of a container, or what the resampler holds back


class Loudness:
    """One dBFS value per ``STEP`` seconds from the first picture on; where no sound is, it is silent."""

    def __init__(self) -> None:
        self._resampler = av.audio.resampler.AudioResampler(format="flt", layout="mono", rate=RATE)
        self._values: list[float] = []
        self._rest: NDArray[np.float32] = np.zeros(0, np.float32)
        self._next: int | None = None

    def take(self, frame: av.AudioFrame, at: float) -> None:
        """``at``: seconds from the first picture, below 0 before it."""
        place = round(at * RATE)
        if self._next is None:
            self._next = place
            self._append(np.zeros(max(0, place), np.float32))
        elif place - self._next > _SLACK:
            self._append(np.zeros(place - max(0, self._next), np.float32))
            self._next = place
        over = self._next - place if self._next - place > _SLACK else 0
        frame.pts = None
        for block in self._resampler.resample(frame):
            samples = block.to_ndarray().reshape(-1).astype(np.float32)[over:]
            early = min(len(samples), max(0, -self._next))
            self._append(samples[early:])
            self._next += len(samples)

    def values(self, seconds: float) -> list[float]:
        """For ``seconds`` from the first picture on."""
        count = round(seconds / STEP)
        return (self._values + [SILENT_DB] * max(0, count - len(self._values)))[:count]

    def _append(self, samples: NDArray[np.float32]) -> None:
        sound = np.concatenate([self._rest, samples])
        whole = len(sound) // _SIZE * _SIZE
        self._rest = sound[whole:]
        rows = sound[:whole].reshape(-1, _SIZE)
        power = np.sqrt((rows**2).mean(axis=1)) if whole else np.zeros(0, np.float32)
        decibel = 20 * np.log10(np.maximum(power, 10 ** (SILENT_DB / 20)))
        self._values += [round(float(value), 1) for value in decibel]
