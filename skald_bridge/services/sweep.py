"""The sweep: asks Prefect what is so, and lets the mirror make it so; what makes lost hints harmless."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.ports import Archive, Cursor, Engine
from skald_bridge.services.mirror import Mirror

BUSY_SECONDS = 5.0
IDLE_SECONDS = 20.0
SLICE = 20
"""Tasks looked into at once: what is heard of others meanwhile waits no longer than these take."""
MARGIN = timedelta(seconds=30)
"""An end may become visible so much later than its time says: a transaction that waited, a server's clock."""
GAP_MARGIN = timedelta(minutes=10)
"""After a gap: Prefect keeps the end's time when a terminal state is forced into another."""

_BUSY = frozenset({StateType.PENDING, StateType.RUNNING, StateType.CANCELLING})
_log = logging.getLogger("skald_bridge.sweep")


class Sweep:
    """One pass a step. The cursor is the newest end seen, by the server's own clock."""

    def __init__(
        self,
        engine: Engine,
        mirror: Mirror,
        archive: Archive,
        cursor: Cursor,
        *,
        busy: float = BUSY_SECONDS,
        idle: float = IDLE_SECONDS,
    ) -> None:
        self._engine = engine
        self._mirror = mirror
        self._archive = archive
        self._cursor = cursor
        self._busy_seconds = busy
        self._idle_seconds = idle
        self._gap = True
        self.idle = False
        self.passes = 0
        self.repaired = 0
        """States that no hint had told of in time."""

    def gap(self) -> None:
        """Hints may have been lost: the next pass looks further back."""
        self._gap = True

    async def step(self) -> float:
        """Returns the seconds until the next pass."""
        gap, self._gap = self._gap, False
        try:
            busy = await self._pass(GAP_MARGIN if gap else MARGIN)
        except BaseException:
            self._gap = self._gap or gap
            raise
        self.idle = not busy
        return self._busy_seconds if busy else self._idle_seconds

    async def _pass(self, margin: timedelta) -> bool:
        reached = await self._cursor.load()
        since = reached - margin if reached is not None else None
        seen: set[TaskId] = set()
        newest, repaired, busy = reached, 0, False
        asked = self._mirror.memory.round
        async for page in self._engine.changed_since(since):
            for start in range(0, len(page), SLICE):
                repaired += await self._mirror.reconcile(page[start : start + SLICE], asked)
            seen.update(task.id for task in page)
            newest = _newest(newest, page)
            busy = busy or any(task.state is not None and task.state.type in _BUSY for task in page)
            asked = self._mirror.memory.round
        lost = [task for task in await self._archive.open() if task not in seen]
        if lost:
            repaired += await self._mirror.look(lost)
        if newest is not None and newest != reached:
            await self._cursor.save(newest)
        self.passes += 1
        self.repaired += repaired
        if repaired:
            _log.debug("the sweep found %d states", repaired)
        return busy or repaired > 0


def _newest(so_far: datetime | None, tasks: Iterable[Task]) -> datetime | None:
    ends = [task.end for task in tasks if task.end is not None]
    return max([*ends, so_far] if so_far is not None else ends, default=None)
