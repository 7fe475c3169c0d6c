"""Tells of tasks whose processes stand still: whoever keeps their heartbeats must let them stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from prefect.events import Event

from skald_work_pools.messages import TASK_MOVES, TASK_STILL
from skald_work_pools.node.context import NodeContext
from skald_work_pools.node.runs.run_supervisor import RunSupervisor
from skald_work_pools.node.server.event_resources import run_resource, tags_related

EVERY = 2.0
AGAIN = 10.0
"""Seconds after which a stillness that lasts is told once more, for a bridge that has begun since."""
_STILL = frozenset("TtZX")
"""Stopped by a signal, traced, or dead and not yet buried, as the kernel writes it."""


class StoppedProcesses:
    """Looks at the processes of the node's running tasks. A task that the node itself froze is Paused anyway."""

    def __init__(self, context: NodeContext, running: Mapping[str, RunSupervisor]) -> None:
        self._context = context
        self._running = running
        self._reported: dict[str, float] = {}

    async def watch(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(EVERY)
            self.look(time.monotonic())

    def look(self, now: float) -> None:
        still = frozenset(supervisor.id for supervisor in self._running.values() if _is_still(supervisor))
        self._reported, stand, move = to_tell(self._reported, still, now)
        for id_ in stand:
            self._tell(TASK_STILL, self._running[id_])
        for id_ in move:
            if (moving := self._running.get(id_)) is not None and not moving.over:
                self._tell(TASK_MOVES, moving)

    def _tell(self, event: str, supervisor: RunSupervisor) -> None:
        self._context.emitter.emit(
            Event(
                event=event,
                resource=run_resource(supervisor.id),
                related=tags_related(supervisor.run.tags),
                payload={"node": self._context.name},
            )
        )


def to_tell(
    reported: Mapping[str, float], still: Iterable[str], now: float
) -> tuple[dict[str, float], list[str], list[str]]:
    """When each of the tasks that stand still was told of last, which to tell of now, and which move again."""
    standing = sorted(still)
    fresh = [id_ for id_ in standing if id_ not in reported or now - reported[id_] >= AGAIN]
    known = {id_: now if id_ in fresh else reported[id_] for id_ in standing}
    return known, fresh, [id_ for id_ in reported if id_ not in known]


def _is_still(supervisor: RunSupervisor) -> bool:
    child = supervisor.child
    if child is None or supervisor.over or supervisor.frozen or not supervisor.running.is_set():
        return False
    return process_state(child.pid) in _STILL


def process_state(pid: int) -> str:
    """The kernel's letter; X for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "X"
