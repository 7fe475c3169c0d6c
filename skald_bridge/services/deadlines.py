"""Ends what is late, and says so."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Protocol

from skald_bridge.domain.dead_letters import Kind
from skald_bridge.domain.deadlines import End, LatePolicy, late
from skald_bridge.domain.documents import given_deadline
from skald_bridge.domain.errors import NotFound, Rejected, is_away
from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.ports import Clock, Engine
from skald_bridge.services.dead_letters import DeadLetters

PERIOD = 5.0
BATCH = 200


class Overdue(Protocol):
    async def overdue(self, now: datetime, limit: int, after: TaskId | None) -> list[TaskId]:
        """Open tasks whose deadline is over, by id, those after ``after``."""
        ...


class Deadlines:
    """One look a step."""

    def __init__(
        self,
        engine: Engine,
        archive: Overdue,
        clock: Clock,
        policy: LatePolicy,
        dead_letters: DeadLetters | None = None,
    ) -> None:
        self._dead_letters = dead_letters or DeadLetters(None, clock)
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
            try:
                await self._judge(task, now)
            except Exception as error:
                if is_away(error):
                    raise
                self._dead_letters.note(Kind.TASK, task.id, error)
        return PERIOD

    async def _judge(self, task: Task, now: datetime) -> None:
        verdict = late(task, self._policy, now)
        with suppress(NotFound, Rejected):
            # It ended, or was taken by a node, just now: the next look sees it as it is then.
            if isinstance(verdict, End):
                await self._engine.fail(task.id, verdict.reason, cancelled=verdict.cancelled)
            elif verdict is not None:
                await self._engine.cancel(task.id, verdict.reason)
            elif given_deadline(task.labels) is None:
                self._free.add(task.id)

    async def _overdue(self, now: datetime) -> list[TaskId]:
        found: list[TaskId] = []
        while page := await self._archive.overdue(now, BATCH, found[-1] if found else None):
            found += page
        return found
