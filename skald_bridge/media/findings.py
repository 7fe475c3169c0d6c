"""What the numbers mean: scenes, black, silence, stillness. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from skald_bridge.media.loudness import STEP as SOUND_STEP
from skald_bridge.media.measure import Measures


class Thresholds(BaseModel):
    """From when on something counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scene: float = Field(0.06, gt=0, le=1, description="Change of the picture, 0 to 1, that begins a scene.")
    black: float = Field(0.98, gt=0, le=1, description="Share of the picture that is black.")
    black_seconds: float = Field(0.2, ge=0, description="Shortest black stretch, in seconds.")
    silence_db: float = Field(-50.0, le=0, description="Loudness in dBFS below which it is silent.")
    silence_seconds: float = Field(0.4, ge=0, description="Shortest silence, in seconds.")
    still: float = Field(0.0015, ge=0, le=1, description="Change of the picture below which it is still.")
    still_seconds: float = Field(1.0, ge=0, description="Shortest still stretch, in seconds.")


@dataclass(frozen=True)
class Span:
    """A stretch of time, in seconds from the beginning."""

    start: float
    end: float


@dataclass(frozen=True)
class Findings:
    """``scenes``: when each scene after the first begins. ``silence`` is ``None`` without a sound track."""

    seconds: float
    pictures: int
    scenes: list[float]
    black: list[Span]
    silence: list[Span] | None
    still: list[Span]
    motion_mean: float
    motion_peak: float
    motion_peak_at: float
    luma_mean: float

    def json(self) -> dict[str, Any]:
        return asdict(self)


def find(measures: Measures, thresholds: Thresholds | None = None) -> Findings:
    """The findings of a whole video."""
    limits = thresholds or Thresholds()
    change, times, end = measures.change, measures.times, measures.seconds
    peak = max(range(len(change)), key=change.__getitem__, default=None)
    silence = None
    if measures.sound:
        steps = [index * SOUND_STEP for index in range(len(measures.loudness))]
        quiet = stretches(steps, [v < limits.silence_db for v in measures.loudness], len(steps) * SOUND_STEP)
        silence = _long(quiet, limits.silence_seconds)
    black = stretches(times, [share >= limits.black for share in measures.black], end)
    still = stretches(times, [value < limits.still for value in change], end)
    return Findings(
        seconds=end,
        pictures=len(times),
        scenes=scene_cuts(times, change, limits.scene),
        black=_long(black, limits.black_seconds),
        silence=silence,
        still=_long(still, limits.still_seconds),
        motion_mean=round(sum(change) / len(change), 5) if change else 0.0,
        motion_peak=change[peak] if peak is not None else 0.0,
        motion_peak_at=times[peak] if peak is not None else 0.0,
        luma_mean=round(sum(measures.luma) / len(measures.luma), 4) if measures.luma else 0.0,
    )


def scene_cuts(times: Sequence[float], change: Sequence[float], threshold: float) -> list[float]:
    """Times at which the picture changes at once, not over several pictures as in a fast pan."""
    found = []
    for index, value in enumerate(change):
        before = change[index - 1] if index else 0.0
        after = change[index + 1] if index + 1 < len(change) else 0.0
        if min(value, value - before, value - after) >= threshold:
            found.append(times[index])
    return found


def stretches(times: Sequence[float], holds: Sequence[bool], end: float) -> list[Span]:
    """Spans over which ``holds`` is true; the value at a time lasts until the next time."""
    found: list[Span] = []
    start: float | None = None
    for at, true in zip(times, holds, strict=True):
        if true and start is None:
            start = at
        elif not true and start is not None:
            found.append(_span(start, at))
            start = None
    if start is not None:
        found.append(_span(start, end))
    return found


def _span(start: float, end: float) -> Span:
    return Span(round(start, 3), round(end, 3))


def _long(spans: list[Span], seconds: float) -> list[Span]:
    return [span for span in spans if span.end - span.start >= seconds]
