"""Time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time, so that a test can own it."""

    def now(self) -> datetime: ...

    async def sleep(self, seconds: float) -> None: ...
