"""What the outside asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from skald_bridge.domain.dependencies import DEPENDENCIES_LABEL, written
from skald_bridge.domain.documents import (
    DEADLINE_LABEL,
    DESCRIPTION_LABEL,
    MODE_LABEL,
    PERSISTENT_LABEL,
    SOURCE_LABEL,
    TASK_ID_LABEL,
)
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.records import TaskDocument


@dataclass(frozen=True)
class NewTask:
    """A task as Skalds' document asks for it. Times are aware UTC; ``deadline`` is ``None`` for none."""

    id: TaskId
    class_name: str
    source: str
    created: datetime
    name: str | None = None
    description: str | None = None
    executor: NodeId | None = None
    dependencies: tuple[TaskId, ...] = ()
    mode: str = "Passive"
    is_persistent: bool = False
    deadline: datetime | None = None
    priority: int = 0
    attachments: dict[str, Any] = field(default_factory=dict)

    def labels(self) -> dict[str, str | int | bool]:
        """What Prefect keeps of it beside its attachments and priority."""
        found: dict[str, str | int | bool] = {
            TASK_ID_LABEL: self.id,
            SOURCE_LABEL: self.source,
            MODE_LABEL: self.mode,
            DEADLINE_LABEL: int(self.deadline.timestamp() * 1000) if self.deadline else 0,
        }
        if self.is_persistent:
            found[PERSISTENT_LABEL] = True
        if self.description:
            found[DESCRIPTION_LABEL] = self.description
        if self.dependencies:
            found[DEPENDENCIES_LABEL] = written(self.dependencies)
        return found


def of_document(document: TaskDocument) -> NewTask:
    """What a task that is known was made of."""
    extra = document.extra
    return NewTask(
        id=document.id,
        class_name=document.class_name,
        source=document.source,
        created=document.created,
        name=document.name,
        description=extra.get("description"),
        executor=document.executor,
        dependencies=tuple(extra.get("dependencies", ())),
        mode=document.mode,
        is_persistent=document.is_persistent,
        deadline=document.deadline,
        priority=document.priority,
        attachments=document.attachments,
    )


@dataclass(frozen=True)
class Received:
    """A record of a Kafka topic, as it lies there."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class Controller(StrEnum):
    """Who decides which documents run: this bridge, or an unmodified Skalds System Controller."""

    OURS = "ours"
    UPSTREAM = "upstream"
