"""The newest pictures that tasks keep in Redis, for whoever looks at them by HTTP."""

from __future__ import annotations

from typing import Any

from skald_bridge.adapters.redis_errors import readable
from skald_bridge.adapters.redis_pulse import RedisPulse
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.media.cache_names import FINDINGS, PICTURE, cache_key

LARGEST = 16 * 2**20
"""Bytes that are given to one who asks."""


class RedisPictures:
    """The ``Pictures`` port, over the pulse's connection."""

    def __init__(self, pulse: RedisPulse) -> None:
        self._pulse = pulse

    async def picture(self, name: str) -> bytes | None:
        return await self._field(name, PICTURE)

    async def findings(self, name: str) -> bytes | None:
        return await self._field(name, FINDINGS)

    async def _field(self, name: str, field: str) -> bytes | None:
        """Raises ``InvalidInput`` for one that is too large, ``Unavailable``."""
        key = cache_key(name)
        async with self._pulse.answering() as redis:
            asked: Any = redis
            size = await readable(asked.hstrlen(key, field), 0)
            if size > LARGEST:
                raise InvalidInput(
                    f"cache:{name} has {size:,} bytes; at most {LARGEST:,} are served",
                    remedy="Let its task keep smaller pictures (cacheWidth).",
                )
            found: bytes | None = (
                await readable(asked.execute_command("HGET", key, field, NEVER_DECODE=True), None)
                if size
                else None
            )
            return found
