"""Tells of tasks whose processes stand still: whoever keeps their heartbeats must let them stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

from prefect.events import Event, Resource

from work_pools.messages import TASK_MOVES, TASK_STILL
from work_pools.node.context import NodeContext
from work_pools.node.runs.run_supervisor import RunSupervisor
from work_pools.node.server.event_resources import tags_related

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
        self._told: dict[str, float] = {}

    async def watch(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(EVERY)
            self.look(time.monotonic())

    def look(self, now: float) -> None:
        still = {supervisor.id: supervisor for supervisor in self._running.values() if _is_still(supervisor)}
        for id_, supervisor in still.items():
            if now - self._told.get(id_, -AGAIN) >= AGAIN:
                self._told[id_] = now
                self._tell(TASK_STILL, supervisor)
        for id_ in [id_ for id_ in self._told if id_ not in still]:
            del self._told[id_]
            if (moving := self._running.get(id_)) is not None and not moving.over:
                self._tell(TASK_MOVES, moving)

    def _tell(self, event: str, supervisor: RunSupervisor) -> None:
        resource = Resource({"prefect.resource.id": f"prefect.flow-run.{supervisor.id}"})
        self._context.emitter.emit(
            Event(
                event=event,
                resource=resource,
                related=tags_related(supervisor.run.tags),
                payload={"node": self._context.name},
            )
        )


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
