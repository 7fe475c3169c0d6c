"""Carries what is stored here to a service elsewhere, in order, also after that service was away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from skald_bridge.ports import Positions

BATCH = 500
LINGER = 0.1
"""Seconds: a task that starts has three states in them, and one document."""
IDLE_SECONDS = 60.0
"""Without news; news hurry it."""
T = TypeVar("T")
Feed = Callable[[int, int], Awaitable[list[tuple[int, T]]]]
"""Of a position and a limit: what comes after it, with positions, oldest first."""


class Relay(Generic[T]):
    """One batch a step. The position is kept after the delivery: a crash between them repeats a batch."""

    def __init__(
        self,
        name: str,
        feed: Feed[T],
        deliver: Callable[[Sequence[T]], Awaitable[None]],
        positions: Positions,
        *,
        batch: int = BATCH,
        linger: float = 0.0,
    ) -> None:
        """``linger``: seconds in which what comes soon after the first is waited for, to go with it."""
        self.name = name
        self.delivered = 0
        self._behind: float | None = None
        self._feed = feed
        self._deliver = deliver
        self._positions = positions
        self._batch = batch
        self._linger = linger
        self._caught_up = False
        self._position: int | None = None

    @property
    def lag(self) -> float:
        """Seconds since everything was delivered last; 0 while there is nothing to deliver."""
        return _now() - self._behind if self._behind is not None else 0.0

    async def step(self) -> float:
        """Raises what ``deliver`` raises; the batch stays where it is."""
        if self._position is None:
            self._position = await self._positions.load(self.name)
        if self._linger and self._caught_up:
            await asyncio.sleep(self._linger)
        found = await self._feed(self._position, self._batch)
        self._caught_up = len(found) < self._batch
        if not found:
            self._behind = None
            return IDLE_SECONDS
        self._behind = _now() if self._behind is None else self._behind
        await self._deliver([item for _, item in found])
        reached = found[-1][0]
        await self._positions.save(self.name, reached)
        self._position = reached
        self.delivered += len(found)
        if len(found) < self._batch:
            self._behind = None
        return 0.0


def _now() -> float:
    return asyncio.get_running_loop().time()
