"""States as journal records, tasks as archive documents; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from skald_bridge.domain.facts import State, Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus, StateType
from skald_bridge.domain.nodes import claimed_by
from skald_bridge.domain.records import JournalRecord, TaskDocument

DEADLINE = timedelta(days=7)
"""Skalds' default, after creation."""

PRIORITY_LABEL = "skald.priority"
SOURCE_LABEL = "skald.source"
PERSISTENT_LABEL = "skald.persistent"
DEADLINE_LABEL = "skald.deadline"
"""Unix time in milliseconds; 0 is none."""
MODE_LABEL = "skald.mode"

GONE = "deleted in Prefect"
_MESSAGE_LIMIT = 4000
_FAILED = frozenset({StateType.FAILED, StateType.CRASHED})


def next_record(state: State, last: JournalRecord | None, *, task: TaskId, class_name: str) -> JournalRecord:
    """The record of ``state`` after ``last``.

    A claim names the node until another node claims; an attempt begins whenever the task starts running, but
    not when it goes on after a pause.
    """
    before = last.state if last is not None else None
    begins = state.type is StateType.RUNNING and before not in (StateType.RUNNING, StateType.PAUSED)
    return JournalRecord(
        id=state.id,
        task=task,
        sequence=last.sequence + 1 if last is not None else 1,
        class_name=class_name,
        lifecycle=state.lifecycle,
        state=state.type,
        name=state.name,
        at=state.at,
        message=_shortened(state.message),
        node=claimed_by(state) or (last.node if last is not None else None),
        attempt=(last.attempt if last is not None else 0) + begins,
    )


def records_of(history: Iterable[State], *, task: TaskId, class_name: str) -> list[JournalRecord]:
    """One record a state; ``history`` is complete and oldest first."""
    records: list[JournalRecord] = []
    for state in history:
        last = records[-1] if records else None
        records.append(next_record(state, last, task=task, class_name=class_name))
    return records


@dataclass(frozen=True)
class Span:
    """When a task first ran, and when it ended for good so far."""

    started: datetime | None = None
    ended: datetime | None = None

    def after(self, record: JournalRecord) -> Span:
        running = record.state is StateType.RUNNING
        return Span(
            started=self.started or (record.at if running else None),
            ended=record.at if record.state.terminal else None,
        )


NO_SPAN = Span()


def span_of(records: Iterable[JournalRecord]) -> Span:
    span = Span()
    for record in records:
        span = span.after(record)
    return span


def document_of(task: Task, record: JournalRecord, span: Span) -> TaskDocument:
    """The document of a task whose newest journaled state is ``record``."""
    labels = task.labels
    return TaskDocument(
        id=task.id,
        class_name=task.class_name,
        source=str(labels.get(SOURCE_LABEL, "Prefect")),
        name=task.name,
        executor=record.node or task.node,
        mode=str(labels.get(MODE_LABEL, "Passive")),
        is_persistent=str(labels.get(PERSISTENT_LABEL, "")).lower() in ("true", "1"),
        created=task.created,
        updated=record.at,
        deadline=_deadline(labels, task.created),
        lifecycle=record.lifecycle,
        priority=_priority(labels),
        attachments=task.attachments,
        state_id=record.id,
        sequence=record.sequence,
        state_name=record.name,
        revision=task.revision,
        attempt=record.attempt,
        exception=exception_of(record),
        started=span.started,
        ended=span.ended,
        extra=_extra(task),
    )


def moved_on(document: TaskDocument, record: JournalRecord) -> TaskDocument:
    """The document after one more state."""
    span = Span(document.started, document.ended).after(record)
    return replace(
        document,
        executor=record.node or document.executor,
        updated=record.at,
        lifecycle=record.lifecycle,
        state_id=record.id,
        sequence=record.sequence,
        state_name=record.name,
        attempt=record.attempt,
        exception=exception_of(record),
        started=span.started,
        ended=span.ended,
    )


def closed(document: TaskDocument) -> TaskDocument:
    """The document of a task that Prefect no longer knows: an open one would seem to run for ever."""
    return replace(document, lifecycle=LifecycleStatus.CANCELLED, exception=GONE)


def exception_of(record: JournalRecord) -> str | None:
    """What ended the task; ``None`` while it has not failed."""
    return record.message or record.name if record.state in _FAILED else None


def _extra(task: Task) -> dict[str, Any]:
    found = {
        "pool": task.pool,
        "queue": task.queue,
        "deployment": task.deployment,
        "parent": task.parent,
        "tags": sorted(task.tags),
    }
    return {key: value for key, value in found.items() if value}


def _deadline(labels: Mapping[str, Any], created: datetime) -> datetime | None:
    given = labels.get(DEADLINE_LABEL)
    if not isinstance(given, (int, float)) or isinstance(given, bool):
        late = created + DEADLINE
        return late.replace(microsecond=late.microsecond // 1000 * 1000)
    return datetime.fromtimestamp(given / 1000, created.tzinfo) if given else None


def _priority(labels: Mapping[str, Any]) -> int:
    given = labels.get(PRIORITY_LABEL, 0)
    return min(10, max(0, given)) if isinstance(given, int) else 0


def _shortened(message: str | None) -> str | None:
    if message is None or len(message) <= _MESSAGE_LIMIT:
        return message
    return message[:_MESSAGE_LIMIT] + "…"
