"""The stores' ports in memory: what the contract holds SQLite's to, and what unit tests stand on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime

from skald_bridge.domain.ids import StateId, TaskId
from skald_bridge.domain.lifecycle import CLOSED, LifecycleStatus, StateType
from skald_bridge.domain.records import JournalRecord, TaskDocument
from skald_bridge.domain.task_filter import EVERY, TaskFilter


class MemoryJournal:
    """The ``Journal`` port."""

    def __init__(self) -> None:
        self._records: list[JournalRecord] = []
        self._ids: set[StateId] = set()

    async def append(self, records: Sequence[JournalRecord]) -> int:
        before = len(self._records)
        for record in records:
            if record.id not in self._ids:
                self._ids.add(record.id)
                self._records.append(record)
        return len(self._records) - before

    async def last(self, tasks: Sequence[TaskId]) -> dict[TaskId, JournalRecord]:
        wanted = set(tasks)
        found: dict[TaskId, JournalRecord] = {}
        for record in self._records:
            if record.task in wanted:
                found[record.task] = record
        return found

    async def contains(self, ids: Sequence[StateId]) -> set[StateId]:
        return self._ids.intersection(ids)

    async def read(
        self, *, after: int = 0, task: TaskId | None = None, limit: int = 1000
    ) -> list[tuple[int, JournalRecord]]:
        positions = enumerate(self._records[after:], after + 1)
        return [(at, record) for at, record in positions if task in (None, record.task)][:limit]

    async def skim(
        self, states: Collection[StateType], *, after: int, limit: int
    ) -> list[tuple[int, JournalRecord]]:
        newest = len(self._records)
        positions = enumerate(self._records[after:], after + 1)
        return [(at, record) for at, record in positions if record.state in states or at == newest][:limit]

    async def tail(self, count: int) -> list[tuple[int, JournalRecord]]:
        return await self.read(after=max(0, len(self._records) - count), limit=count)


class MemoryArchive:
    """The ``Archive`` port."""

    def __init__(self) -> None:
        self._documents: dict[TaskId, TaskDocument] = {}

    async def put(self, documents: Sequence[TaskDocument]) -> None:
        for document in documents:
            old = self._documents.get(document.id)
            if old is None or (document.sequence, document.revision) >= (old.sequence, old.revision):
                self._documents[document.id] = document

    async def get(self, task: TaskId) -> TaskDocument | None:
        return self._documents.get(task)

    async def read(self, tasks: Sequence[TaskId]) -> dict[TaskId, TaskDocument]:
        return {task: self._documents[task] for task in tasks if task in self._documents}

    async def open(self) -> list[TaskId]:
        return [document.id for document in self._documents.values() if document.lifecycle not in CLOSED]

    async def find(
        self, wanted: TaskFilter = EVERY, *, limit: int = 100, offset: int = 0
    ) -> list[TaskDocument]:
        found = [document for document in self._documents.values() if wanted.holds(document)]
        found.sort(key=lambda document: (document.created, document.id), reverse=True)
        return found[offset : offset + limit]

    async def count(self, wanted: TaskFilter = EVERY) -> int:
        return sum(wanted.holds(document) for document in self._documents.values())

    async def statuses(self) -> dict[LifecycleStatus, int]:
        return dict(Counter(document.lifecycle for document in self._documents.values()))

    async def class_names(self) -> list[str]:
        return sorted({document.class_name for document in self._documents.values()})


class MemoryCursor:
    """The ``Cursor`` port."""

    def __init__(self) -> None:
        self._at: datetime | None = None

    async def load(self) -> datetime | None:
        return self._at

    async def save(self, at: datetime) -> None:
        self._at = at
