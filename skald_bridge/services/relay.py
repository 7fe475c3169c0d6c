"""Carries what is stored here to a service elsewhere, in order, also after that service was away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from skald_bridge.ports import Positions

BATCH = 500
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
    ) -> None:
        self.name = name
        self.delivered = 0
        self._feed = feed
        self._deliver = deliver
        self._positions = positions
        self._batch = batch
        self._position: int | None = None

    async def step(self) -> float:
        """Raises what ``deliver`` raises; the batch stays where it is."""
        if self._position is None:
            self._position = await self._positions.load(self.name)
        found = await self._feed(self._position, self._batch)
        if not found:
            return IDLE_SECONDS
        await self._deliver([item for _, item in found])
        reached = found[-1][0]
        await self._positions.save(self.name, reached)
        self._position = reached
        self.delivered += len(found)
        return 0.0
