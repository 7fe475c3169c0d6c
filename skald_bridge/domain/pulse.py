"""What nodes and tasks say of themselves once a period."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from skald_bridge.domain.ids import NodeId, TaskId


class NodeMode(StrEnum):
    """Skalds' two kinds of task generator: fed by a dispatcher, or by a YAML file of its own."""

    NODE = "node"
    EDGE = "edge"


@dataclass(frozen=True)
class RunningTask:
    """A task whose process is at work. ``node`` is ``None`` under a worker of another kind."""

    id: TaskId
    class_name: str
    node: NodeId | None = None


@dataclass(frozen=True)
class NodeBeat:
    """A node that is online: the task types it can run, and the tasks it runs."""

    id: NodeId
    mode: NodeMode = NodeMode.NODE
    task_types: tuple[str, ...] = ()
    tasks: tuple[RunningTask, ...] = ()


@dataclass(frozen=True)
class Vitals:
    """What the pulse holds of a task."""

    heartbeat: int | None = None
    exception: str | None = None
    error: str | None = None


SILENT = Vitals()
