"""What the bridge writes: journal records and archive documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from skald_bridge.domain.ids import NodeId, StateId, TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus, StateType

FOREIGN = "foreign"
"""In a document's ``extra``."""


@dataclass(frozen=True)
class JournalRecord:
    """One state change.

    ``id`` is the state's id, so a repeat is harmless; ``sequence`` counts a task's states from 1.
    """

    id: StateId
    task: TaskId
    sequence: int
    class_name: str
    lifecycle: LifecycleStatus
    state: StateType
    name: str
    at: datetime
    message: str | None = None
    node: NodeId | None = None
    attempt: int = 0


@dataclass(frozen=True)
class TaskDocument:
    """Skalds' task document with this product's further fields; ``wire.skalds`` gives its JSON."""

    id: TaskId
    class_name: str
    source: str
    name: str
    executor: NodeId | None
    mode: str
    is_persistent: bool
    created: datetime
    updated: datetime
    deadline: datetime | None
    lifecycle: LifecycleStatus
    priority: int
    attachments: dict[str, Any]
    state_id: StateId
    sequence: int
    state_name: str
    revision: int = 1
    attempt: int = 0
    exception: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    """In short what its newest attempt made, once it has ended."""

    @property
    def foreign(self) -> bool:
        """Prefect has no run of it: it was refused, or a Skalds node runs it."""
        return bool(self.extra.get(FOREIGN))
