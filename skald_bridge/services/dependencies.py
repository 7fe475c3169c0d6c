"""Tasks that wait for others: released when those are finished, failed when they never will be."""

from __future__ import annotations

import logging

from skald_bridge.domain.dependencies import HELD, Release, verdicts
from skald_bridge.domain.errors import NotFound, Rejected, is_away
from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus
from skald_bridge.ports import Archive, Engine
from skald_bridge.services.task_cache import TaskCache

BUSY_SECONDS = 5.0
IDLE_SECONDS = 60.0
_log = logging.getLogger("skald_bridge.dependencies")


class Dependents:
    """One look a step; who waits is what the mirror has seen, whoever made it wait."""

    def __init__(self, engine: Engine, archive: Archive, memory: TaskCache) -> None:
        self._engine = engine
        self._archive = archive
        self._memory = memory

    def waiting(self) -> dict[TaskId, tuple[TaskId, ...]]:
        """Who waits for whom."""
        return self._memory.held()

    async def step(self) -> float:
        waiting = self.waiting()
        if not waiting:
            return IDLE_SECONDS
        said = verdicts(waiting, await self._statuses(waiting))
        still = await self._engine.read([verdict.task for verdict in said]) if said else {}
        for verdict in said:
            # The mirror hears of a release after Prefect has it: another one then would run the task twice.
            if verdict.task not in still or not _is_held(still[verdict.task]):
                continue
            try:
                if isinstance(verdict, Release):
                    await self._engine.release(verdict.task)
                else:
                    await self._engine.fail(verdict.task, verdict.reason)
            except (NotFound, Rejected):
                pass  # it may have been cancelled, started by hand or deleted meanwhile
            except Exception as error:
                if is_away(error):
                    raise
                _log.exception("%s cannot be carried out", verdict)
            _log.debug("%s", verdict)
        return BUSY_SECONDS

    async def _statuses(self, waiting: dict[TaskId, tuple[TaskId, ...]]) -> dict[TaskId, LifecycleStatus]:
        wanted = list({one for ones in waiting.values() for one in ones})
        found = {id_: document.lifecycle for id_, document in (await self._archive.read(wanted)).items()}
        if missing := [task for task in wanted if task not in found]:
            tasks = await self._engine.read(missing)
            found |= {id_: task.state.lifecycle for id_, task in tasks.items() if task.state is not None}
        return found


def _is_held(task: Task) -> bool:
    return task.state is not None and task.state.name == HELD
