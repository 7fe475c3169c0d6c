"""When a part that ended is started again, and when to give up; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Restart:
    """Start it again after so many seconds."""

    after: float


@dataclass(frozen=True)
class GiveUp:
    """It ended too often: ``count`` times within ``seconds``."""

    count: int
    seconds: float


@dataclass(frozen=True)
class RestartPolicy:
    """Doubling delays; ``most`` ends within ``window`` seconds are a crash loop."""

    first: float = 0.5
    longest: float = 15.0
    window: float = 120.0
    most: int = 6

    def decide(self, ends: Sequence[float], now: float) -> Restart | GiveUp:
        """``ends``: when the part ended, the newest included; older ones than the window are forgotten."""
        recent = sum(1 for end in ends if now - end <= self.window)
        if recent >= self.most:
            return GiveUp(recent, self.window)
        return Restart(min(self.longest, self.first * 2 ** max(0, recent - 1)))
