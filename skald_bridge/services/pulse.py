"""Heartbeats of nodes and tasks, from what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from skald_bridge.domain.facts import Node
from skald_bridge.ports import Clock, Engine, Pulse
from skald_bridge.services.memory import Memory

PERIOD = 3.0
BUSY_NODES = timedelta(seconds=15)
IDLE_NODES = timedelta(seconds=120)
"""How old the picture of the nodes may be, while tasks are at work and while not."""


class Beat:
    """One round of heartbeats a step: nodes that are online, tasks at work on them.

    A task without a node of ours runs under a worker of another kind; Prefect alone vouches for it.
    """

    def __init__(
        self, engine: Engine, pulse: Pulse, memory: Memory, clock: Clock, idle: Callable[[], bool]
    ) -> None:
        self._engine = engine
        self._pulse = pulse
        self._memory = memory
        self._clock = clock
        self._idle = idle
        self._nodes: list[Node] = []
        self.asked: datetime | None = None
        """When Prefect was last asked for the nodes."""

    async def step(self) -> float:
        now = self._clock.now()
        online = {node.id: _task_types(node) for node in self._nodes if node.online}
        await self._pulse.beat_nodes(online, now)
        known = {node.id for node in self._nodes}
        alive = [
            task
            for task, node in self._memory.beating()
            if node is None or node in online or node not in known
        ]
        await self._pulse.beat_tasks(alive, now)
        if self.asked is None or now - self.asked >= (IDLE_NODES if self._idle() else BUSY_NODES):
            self._nodes = await self._engine.nodes()
            first, self.asked = self.asked is None, now
            return 0.0 if first else PERIOD
        return PERIOD


def _task_types(node: Node) -> Sequence[str]:
    found = node.capacity.get("task_types", ())
    return [str(name) for name in found]
