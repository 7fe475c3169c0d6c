"""What the outside told: tasks, states and nodes as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from skald_bridge.domain.ids import NodeId, StateId, TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus, StateType, lifecycle_of


@dataclass(frozen=True)
class State:
    """One state of a task. ``at`` is timezone-aware UTC."""

    id: StateId
    type: StateType
    name: str
    at: datetime
    message: str | None = None

    @property
    def lifecycle(self) -> LifecycleStatus:
        return lifecycle_of(self.type)


@dataclass(frozen=True)
class Task:
    """A flow run as the bridge knows it.

    ``attachments`` are the value of its parameters' single model, or all parameters; ``run`` is Prefect's id,
    which is the task's own unless Skalds named it.
    """

    id: TaskId
    name: str
    class_name: str
    state: State | None
    created: datetime
    attachments: dict[str, Any] = field(default_factory=dict)
    revision: int = 1
    attempt: int = 0
    node: NodeId | None = None
    pool: str | None = None
    queue: str | None = None
    deployment: str | None = None
    deployment_id: str | None = None
    tags: tuple[str, ...] = ()
    labels: dict[str, Any] = field(default_factory=dict)
    start: datetime | None = None
    end: datetime | None = None
    parent: TaskId | None = None
    run: str = ""
    as_asked: bool = True
    """Answering ``Engine.create``: whether it has what was asked for; not so where it was made before of other."""


@dataclass(frozen=True)
class Subtask:
    """A task run: one stage inside a task."""

    id: str
    name: str
    state: str
    attempt: int
    seconds: float
    message: str | None = None


@dataclass(frozen=True)
class Progress:
    """The newest progress a task reported. ``fraction`` is 0…1."""

    fraction: float
    text: str


@dataclass(frozen=True)
class Node:
    """A worker of type ``skald``. ``capacity`` is what the node announced; empty when nothing."""

    id: NodeId
    pool: str
    online: bool
    last_seen: datetime | None
    capacity: dict[str, Any] = field(default_factory=dict)


def is_linked(node: Node) -> bool:
    """Whether it is online, and said last that it has a link to a bridge."""
    return node.online and node.capacity.get("linked") is True


@dataclass(frozen=True)
class StateHint:
    """An event said that a task has a new state.

    ``follows`` is the state before it, where the event knows; ``first``: there was none before it.
    """

    task: TaskId
    state: State
    follows: StateId | None
    first: bool = False
    name: str = ""
    class_name: str = ""


@dataclass(frozen=True)
class RevisionHint:
    """An event said that a task took new attachments."""

    task: TaskId
    revision: int
    attachments: dict[str, Any]


@dataclass(frozen=True)
class StillHint:
    """A node said that a running task's process stands still, or moves again."""

    task: TaskId
    still: bool


@dataclass(frozen=True)
class RecordedHint:
    """A task has finished a recording."""

    task: TaskId


@dataclass(frozen=True)
class NodesHint:
    """A node has announced itself, or has gone."""


Hint = StateHint | RevisionHint
"""What is written down."""
Heard = Hint | StillHint | RecordedHint | NodesHint
