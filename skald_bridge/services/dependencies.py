"""Tasks that wait for others: released when those are finished, failed when they never will be."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from skald_bridge.domain.dependencies import HELD, Release, of_labels, verdicts
from skald_bridge.domain.errors import NotFound, Rejected
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus
from skald_bridge.ports import Archive, Engine

BUSY_SECONDS = 5.0
IDLE_SECONDS = 60.0
MOST = 10_000
_log = logging.getLogger("skald_bridge.dependencies")


class Dependents:
    """One look a step; who waits is known from Prefect, so a restart forgets nobody."""

    def __init__(self, engine: Engine, archive: Archive) -> None:
        self._engine = engine
        self._archive = archive
        self._waiting: dict[TaskId, tuple[TaskId, ...]] | None = None
        self.added: Callable[[], None] = lambda: None
        """Called when a task begins to wait."""

    @property
    def some(self) -> bool:
        return bool(self._waiting)

    async def waiting(self) -> dict[TaskId, tuple[TaskId, ...]]:
        if self._waiting is None:
            held = await self._engine.tasks(states=[HELD], limit=MOST)
            self._waiting = {task.id: of_labels(task.labels) for task in held} | (self._waiting or {})
        return self._waiting

    def add(self, task: TaskId, dependencies: tuple[TaskId, ...]) -> None:
        if self._waiting is not None:
            self._waiting[task] = dependencies
        self.added()

    async def step(self) -> float:
        waiting = await self.waiting()
        if not waiting:
            return IDLE_SECONDS
        for verdict in verdicts(waiting, await self._statuses()):
            with suppress(NotFound, Rejected):
                # It may have been cancelled, started by hand or deleted meanwhile.
                if isinstance(verdict, Release):
                    await self._engine.release(verdict.task)
                else:
                    await self._engine.fail(verdict.task, verdict.reason)
            _log.debug("%s", verdict)
            del waiting[verdict.task]
        return BUSY_SECONDS

    async def _statuses(self) -> dict[TaskId, LifecycleStatus]:
        wanted = list({one for ones in (await self.waiting()).values() for one in ones})
        found = {id_: document.lifecycle for id_, document in (await self._archive.read(wanted)).items()}
        missing = [task for task in wanted if task not in found]
        if missing:
            tasks = await self._engine.read(missing)
            found |= {id_: task.state.lifecycle for id_, task in tasks.items() if task.state is not None}
        return found
