"""When a part that ended is started again, and when to give up; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

FULL = 5_000_000
"""Bytes: with less free on its disk a part that fails is said to fail for that."""
_LONGEST = 300
_ERROR = re.compile(r"error|exception|no space left|is full|cannot|denied|refused|not found", re.IGNORECASE)
_NO_SPACE = re.compile(r"no space left on device|disk is full|disk quota exceeded", re.IGNORECASE)


@dataclass(frozen=True)
class Restart:
    """Start it again after so many seconds."""

    after: float


@dataclass(frozen=True)
class GiveUp:
    """It ended too often: ``count`` times within ``seconds``, or one after the other without having been ready."""

    count: int
    seconds: float | None = None


@dataclass(frozen=True)
class RestartPolicy:
    """Doubling delays; ``most`` ends within ``window`` seconds are a crash loop, ``unready`` futile starts too."""

    first: float = 0.5
    longest: float = 15.0
    window: float = 120.0
    most: int = 6
    unready: int = 4

    def decide(
        self, ends: Sequence[float], now: float, *, futile: int = 0, final: bool = False
    ) -> Restart | GiveUp:
        """
        Args:
            ends: when the part ended, the newest included; older ones than the window are forgotten.
            futile: how many starts in a row have ended before the part was ready, the newest included.
            final: the part itself says that starting it again is of no use.
        """
        recent = sum(1 for end in ends if now - end <= self.window)
        if recent >= self.most:
            return GiveUp(recent, self.window)
        if final or futile >= self.unready:
            return GiveUp(max(futile, 1))
        return Restart(min(self.longest, self.first * 2 ** max(0, recent - 1)))


def cause(lines: Sequence[str], free: int | None) -> str:
    """Why a part ended, from what it logged in this life and the bytes ``free`` on its disk; empty: unknown."""
    if (free is not None and free < FULL) or any(_NO_SPACE.search(line) for line in lines):
        return "its disk is full"
    told = [line.strip() for line in lines if _ERROR.search(line)]
    return (told or [""])[-1][:_LONGEST]
