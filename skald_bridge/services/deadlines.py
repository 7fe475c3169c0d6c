"""Ends what is late, and says so."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Protocol

from skald_bridge.domain.deadlines import End, LatePolicy, late
from skald_bridge.domain.documents import given_deadline
from skald_bridge.domain.errors import NotFound, Rejected
from skald_bridge.domain.ids import TaskId
from skald_bridge.ports import Clock, Engine

PERIOD = 5.0
BATCH = 200


class Overdue(Protocol):
    async def overdue(self, now: datetime, limit: int, after: TaskId | None) -> list[TaskId]:
        """Open tasks whose deadline is over, by id, those after ``after``."""
        ...


class Deadlines:
    """One look a step."""

    def __init__(self, engine: Engine, archive: Overdue, clock: Clock, policy: LatePolicy) -> None:
        self._engine = engine
        self._archive = archive
        self._clock = clock
        self._policy = policy
        self._free: set[TaskId] = set()
        """Nobody gave these a deadline: their documents show Skalds' default."""

    async def step(self) -> float:
        now = self._clock.now()
        overdue = await self._overdue(now)
        self._free &= set(overdue)
        tasks = await self._engine.read([task for task in overdue if task not in self._free])
        for task in tasks.values():
            verdict = late(task, self._policy, now)
            with suppress(NotFound, Rejected):
                # It ended, or was taken by a node, just now: the next look sees it as it is then.
                if isinstance(verdict, End):
                    await self._engine.fail(task.id, verdict.reason, cancelled=verdict.cancelled)
                elif verdict is not None:
                    await self._engine.cancel(task.id, verdict.reason)
                elif given_deadline(task.labels) is None:
                    self._free.add(task.id)
        return PERIOD

    async def _overdue(self, now: datetime) -> list[TaskId]:
        found: list[TaskId] = []
        while page := await self._archive.overdue(now, BATCH, found[-1] if found else None):
            found += page
        return found
