"""What the bridge keeps: journal, archive, recordings, and how far its readers have come."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from skald_bridge.domain.ids import StateId, TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus, StateType
from skald_bridge.domain.recordings import Recording
from skald_bridge.domain.records import JournalRecord, TaskDocument
from skald_bridge.domain.task_filter import EVERY, TaskFilter


class Journal(Protocol):
    """Append-only stream of state changes; a repeat of a record's id changes nothing."""

    async def append(self, records: Sequence[JournalRecord]) -> int:
        """How many were new."""
        ...

    async def last(self, tasks: Sequence[TaskId]) -> dict[TaskId, JournalRecord]:
        """The newest record of each task that has one."""
        ...

    async def contains(self, ids: Sequence[StateId]) -> set[StateId]:
        """Those of the ids that have a record."""
        ...

    async def read(
        self, *, after: int = 0, task: TaskId | None = None, limit: int = 1000
    ) -> list[tuple[int, JournalRecord]]:
        """Records with their positions, oldest first."""
        ...

    async def skim(
        self, states: Collection[StateType], *, after: int, limit: int
    ) -> list[tuple[int, JournalRecord]]:
        """As ``read``, but only records in one of ``states``, and the newest of all, so that a reader moves on."""
        ...

    async def tail(self, count: int) -> list[tuple[int, JournalRecord]]: ...


class Archive(Protocol):
    """Durable task documents; an older state never overwrites a newer one."""

    async def put(self, documents: Sequence[TaskDocument]) -> None: ...

    async def get(self, task: TaskId) -> TaskDocument | None: ...

    async def read(self, tasks: Sequence[TaskId]) -> dict[TaskId, TaskDocument]:
        """Those of the tasks that have a document."""
        ...

    async def open(self) -> list[TaskId]:
        """Tasks whose document is not in a terminal state."""
        ...

    async def find(
        self, wanted: TaskFilter = EVERY, *, limit: int = 100, offset: int = 0
    ) -> list[TaskDocument]:
        """Newest first."""
        ...

    async def count(self, wanted: TaskFilter = EVERY) -> int:
        """How many ``find`` would find without a limit."""
        ...

    async def statuses(self) -> dict[LifecycleStatus, int]:
        """How many tasks are in each status; a status that no task is in is missing."""
        ...

    async def class_names(self) -> list[str]:
        """Of all tasks, sorted; each once."""
        ...


class Recordings(Protocol):
    """What tasks recorded; a repeat of a recording's id changes nothing."""

    async def add(self, recordings: Sequence[Recording]) -> int:
        """How many were new."""
        ...


class Positions(Protocol):
    """How far each relay has come in what is stored here; 0 before its first delivery."""

    async def load(self, name: str) -> int: ...

    async def save(self, name: str, position: int) -> None: ...


class Cursor(Protocol):
    """How far the sweep has come; written after journal, pulse and archive."""

    async def load(self) -> datetime | None:
        """The newest end of a task, by the server's clock, that a complete sweep has seen."""
        ...

    async def save(self, at: datetime) -> None: ...
