"""Journal, archive, cursor and pulse in this process's memory; the pulse is the embedded one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from skald_bridge.domain.effects import EndPulse
from skald_bridge.domain.ids import NodeId, StateId, TaskId
from skald_bridge.domain.lifecycle import CLOSED, LifecycleStatus, StateType
from skald_bridge.domain.pulse import SILENT, NodeBeat, Vitals
from skald_bridge.domain.records import JournalRecord, TaskDocument
from skald_bridge.domain.task_filter import EVERY, TaskFilter

BEAT_TTL = timedelta(seconds=8)
END_TTL = timedelta(seconds=3600)
COUNTER = 200
"""Heartbeats count modulo this, so that consecutive ones differ; it is also the beat of a finished task."""


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


@dataclass(frozen=True)
class _Kept:
    value: int
    until: datetime
    exception: str | None = None
    ended: datetime | None = None


class MemoryPulse:
    """The ``Pulse`` port; what has expired is forgotten at the next write."""

    def __init__(self) -> None:
        self._nodes: dict[NodeId, _Kept] = {}
        self._tasks: dict[TaskId, _Kept] = {}
        self._errors: dict[TaskId, tuple[str, datetime]] = {}

    async def beat(self, nodes: Sequence[NodeBeat], tasks: Sequence[TaskId], now: datetime) -> str | None:
        self._forget(now)
        self._nodes |= {node.id: _next(self._nodes.get(node.id), now) for node in nodes}
        self._tasks |= {id: _next(self._tasks.get(id), now) for id in tasks}
        return None

    async def end(self, ends: Sequence[EndPulse], now: datetime) -> None:
        self._tasks |= {end.task: _Kept(end.value, now + END_TTL, end.exception, ended=now) for end in ends}

    async def note_error(self, task: TaskId, message: str, now: datetime) -> None:
        self._errors[task] = (message, now + END_TTL)

    async def heartbeat(self, task: TaskId, now: datetime) -> int | None:
        kept = self._tasks.get(task)
        return kept.value if kept is not None and kept.until > now else None

    async def exception(self, task: TaskId, now: datetime) -> str | None:
        kept = self._tasks.get(task)
        return kept.exception if kept is not None and kept.until > now else None

    async def error(self, task: TaskId, now: datetime) -> str | None:
        message, until = self._errors.get(task, (None, now))
        return message if until > now else None

    async def vitals(self, tasks: Sequence[TaskId], now: datetime) -> dict[TaskId, Vitals]:
        found = {
            task: Vitals(
                await self.heartbeat(task, now), await self.exception(task, now), await self.error(task, now)
            )
            for task in tasks
        }
        return {task: vitals for task, vitals in found.items() if vitals != SILENT}

    async def nodes(self, now: datetime) -> dict[NodeId, int]:
        return {id: kept.value for id, kept in self._nodes.items() if kept.until > now}

    def _forget(self, now: datetime) -> None:
        self._nodes = {id: kept for id, kept in self._nodes.items() if kept.until > now}
        self._tasks = {id: kept for id, kept in self._tasks.items() if kept.until > now}
        self._errors = {id: kept for id, kept in self._errors.items() if kept[1] > now}


def _next(kept: _Kept | None, now: datetime) -> _Kept:
    """A task that ended and runs again begins to count anew; a beat from before its end comes too late."""
    if kept is None:
        return _Kept(0, now + BEAT_TTL)
    if kept.ended is None:
        return _Kept((kept.value + 1) % COUNTER, now + BEAT_TTL)
    return kept if now <= kept.ended else _Kept(0, now + BEAT_TTL)
