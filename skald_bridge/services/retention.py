"""Prunes what ended long ago from what is stored here, and gives the room back to the disk."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.retention import FIRST, Delivered, Mark, Pruned, delivered, ended_before
from skald_bridge.ports import Clock, Cursor, Positions

BEGIN_SECONDS = 300.0
"""After the start: relays and sweep have more urgent things to do."""
PERIOD = 3600.0
PAUSE = 0.05
"""Seconds between two transactions; those of others take milliseconds."""
_log = logging.getLogger("skald_bridge.retention")


class Prunable(Protocol):
    """What is stored here. Methods raise ``Unavailable``."""

    async def awaited(self) -> set[TaskId]:
        """What open tasks wait for."""
        ...

    async def prune(
        self, before: datetime, told: Delivered, spared: Collection[TaskId], after: Mark
    ) -> Pruned:
        """One transaction's worth of the tasks that ended before then and are told to everybody."""
        ...

    async def forget(self, relays: Collection[str]) -> None:
        """Positions of relays that are not among these, where all that is left comes after them."""
        ...

    async def shrink(self) -> bool:
        """Give some room back to the disk; whether there may be more."""
        ...

    async def settle(self) -> None: ...


class Retention:
    """One pass a step, and none in the first."""

    def __init__(
        self,
        store: Prunable,
        cursor: Cursor,
        positions: Positions,
        clock: Clock,
        keep: timedelta,
        relays: Sequence[str],
    ) -> None:
        """``relays``: the names of all that are at work; what they have not delivered stays."""
        self._store = store
        self._cursor = cursor
        self._positions = positions
        self._clock = clock
        self._keep = keep
        self._relays = relays
        self._begun = False

    async def step(self) -> float:
        if not self._begun:
            self._begun = True
            return BEGIN_SECONDS
        before = ended_before(self._clock.now(), self._keep, await self._cursor.load())
        if before is not None and (tasks := await self._prune(before)):
            _log.info("%d tasks that ended before %s are pruned", tasks, f"{before:%Y-%m-%d %H:%M}")
            await self._store.forget(self._relays)
            while await self._store.shrink():
                await self._clock.sleep(PAUSE)
            await self._store.settle()
        return PERIOD

    async def _prune(self, before: datetime) -> int:
        told = delivered({relay: await self._positions.load(relay) for relay in self._relays})
        spared = await self._store.awaited()
        tasks, mark = 0, FIRST
        while True:
            pruned = await self._store.prune(before, told, spared, mark)
            tasks += pruned.tasks
            if pruned.after is None:
                return tasks
            mark = pruned.after
            await self._clock.sleep(PAUSE)
