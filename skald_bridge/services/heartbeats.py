"""Heartbeats of nodes and tasks, from what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from skald_bridge.domain.facts import Node
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.pulse import NodeBeat, NodeMode, RunningTask
from skald_bridge.ports import Clock, Engine, Pulse
from skald_bridge.services.task_cache import TaskCache

PERIOD = 3.0
BUSY_NODES = timedelta(seconds=15)
IDLE_NODES = timedelta(seconds=120)
"""How old the picture of the nodes may be, while tasks are at work and while not."""


class Heartbeats:
    """One round of heartbeats a step: nodes that are online, tasks at work on them.

    A task without a node of ours runs under a worker of another kind; Prefect alone vouches for it.
    """

    def __init__(
        self,
        engine: Engine,
        pulse: Pulse,
        memory: TaskCache,
        clock: Clock,
        idle: Callable[[], bool],
        *,
        period: float = PERIOD,
        refused: Callable[[str], None] = lambda why: None,
    ) -> None:
        """``period``: seconds between rounds; ``refused`` hears what the store did not take of one, and why."""
        self._engine = engine
        self._pulse = pulse
        self._memory = memory
        self._clock = clock
        self._idle = idle
        self._period = period
        self._refused = refused
        self.nodes: list[Node] = []
        """Those that Prefect knows, online or not."""
        self.beats: list[NodeBeat] = []
        """What was said of those online in the newest round."""
        self.at: datetime | None = None
        """When that was."""
        self.asked: datetime | None = None
        """When Prefect was last asked for the nodes."""
        self._changed = True

    @property
    def online(self) -> set[str] | None:
        """Those online, each with its pool's name; ``None`` while Prefect has not been asked."""
        return (
            None if self.asked is None else {f"{node.pool}/{node.id}" for node in self.nodes if node.online}
        )

    def node_ids(self) -> list[NodeId]:
        """Ours, online or not."""
        return [node.id for node in self.nodes]

    def forget_nodes(self) -> None:
        """The next step asks Prefect for the nodes: one has come or gone."""
        self._changed = True

    async def step(self) -> float:
        now = self._clock.now()
        nodes, tasks = _alive(self.nodes, self._memory.beating())
        if why := await self._pulse.beat(nodes, tasks, now):
            self._refused(why)
        self.beats, self.at = nodes, now
        if not self._changed and not self._is_old(now):
            return self._period
        # Said before Prefect is asked: what changes while it answers is asked for again.
        changed, self._changed = self._changed, False
        try:
            self.nodes = await self._engine.nodes()
        except BaseException:
            self._changed = changed or self._changed
            raise
        self.asked = now
        return 0.0 if changed else self._period

    def _is_old(self, now: datetime) -> bool:
        return self.asked is None or now - self.asked >= (IDLE_NODES if self._idle() else BUSY_NODES)


def _alive(nodes: Sequence[Node], running: Sequence[RunningTask]) -> tuple[list[NodeBeat], list[TaskId]]:
    """Who beats; a task of a node that is known and not online does not."""
    online = {node.id for node in nodes if node.online}
    silent = {node.id for node in nodes} - online
    at_work: dict[NodeId, list[RunningTask]] = {id: [] for id in online}
    for task in running:
        if task.node in online:
            at_work[task.node].append(task)
    beats = {
        node.id: NodeBeat(node.id, _mode(node), _task_types(node), tuple(at_work[node.id]))
        for node in nodes
        if node.online
    }
    return list(beats.values()), [task.id for task in running if task.node not in silent]


def _mode(node: Node) -> NodeMode:
    return NodeMode.EDGE if node.capacity.get("mode") == NodeMode.EDGE else NodeMode.NODE


def _task_types(node: Node) -> tuple[str, ...]:
    return tuple(str(name) for name in node.capacity.get("task_types") or ())
