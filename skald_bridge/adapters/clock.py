"""The system's time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime


class SystemClock:
    """The ``Clock`` port."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
