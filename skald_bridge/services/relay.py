"""Carries what is stored here to a service elsewhere, in order, also after that service was away.

What the service refuses for what it is holds up nothing: it is found by halving the batch, and replaced or set aside.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from skald_bridge.domain.errors import Unavailable
from skald_bridge.ports import Positions
from skald_bridge.services.dead_letters import TRIES, isolated

BATCH = 500
LINGER = 0.1
"""Seconds: a task that starts has three states in them, and one document."""
IDLE_SECONDS = 60.0
"""Without news; news hurry it."""
T = TypeVar("T")
Aside = Callable[[T, Exception], Awaitable[None]]
_logger = logging.getLogger("skald_bridge.relay")
Feed = Callable[[int, int], Awaitable[list[tuple[int, T]]]]
"""Of a position and a limit: what comes after it, with positions, oldest first."""


class Relay(Generic[T]):
    """One batch a step. The position is kept after the delivery: a crash between them repeats a batch.

    A batch that fails as a whole is tried again with half as many: it may have taken longer than the service allows.
    """

    def __init__(
        self,
        name: str,
        feed: Feed[T],
        deliver: Callable[[Sequence[T]], Awaitable[None]],
        positions: Positions,
        *,
        batch: int = BATCH,
        linger: float = 0.0,
        aside: Aside[T] | None = None,
        replaces: bool = False,
    ) -> None:
        """
        Args:
            deliver: raises ``Unavailable`` where the service is away; whatever else is the fault of some item.
            linger: seconds in which what comes soon after the first is waited for, to go with it.
            aside: gets an item that cannot be delivered, and why; raises ``Unavailable`` only.
            replaces: ``aside`` delivers something else for it. Some services say nothing to what they do not take, and
                close the connection: then an item at fault is one that fails again and again where its replacement
                does not.
        """
        self.name = name
        self.delivered = 0
        self._behind: float | None = None
        self._feed = feed
        self._deliver = deliver
        self._positions = positions
        self._batch = self._most = batch
        self._linger = linger
        self._aside = aside or self._log
        self._replaces = replaces
        self._failed = (0, 0)
        """A position, and how often it has failed."""
        self._caught_up = False
        self._position: int | None = None

    @property
    def lag(self) -> float:
        """Seconds since everything was delivered last; 0 while there is nothing to deliver."""
        return _now() - self._behind if self._behind is not None else 0.0

    async def step(self) -> float:
        """Raises ``Unavailable``; the batch stays where it is."""
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
        try:
            await isolated([item for _, item in found], self._deliver, self._aside)
        except Unavailable as error:
            self._batch = max(1, len(found) // 2)
            if len(found) > 1 or not await self._replaced(*found[0], error):
                raise
        whole, self._batch = len(found) < self._batch, min(self._most, 2 * self._batch)
        reached = found[-1][0]
        await self._positions.save(self.name, reached)
        self._position = reached
        self.delivered += len(found)
        if whole:
            self._behind = None
        return 0.0

    async def _replaced(self, position: int, item: T, error: Unavailable) -> bool:
        self._failed = (position, self._failed[1] + 1 if self._failed[0] == position else 1)
        if not self._replaces or self._failed[1] < TRIES:
            return False
        await self._aside(item, error)
        return True

    async def _log(self, item: T, error: Exception) -> None:
        _logger.error("%s: %.200r is left out", self.name, item, exc_info=error)


def _now() -> float:
    return asyncio.get_running_loop().time()
