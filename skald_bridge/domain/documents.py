"""States as journal records, tasks as archive documents; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from skald_bridge.domain.claims import claimed_by
from skald_bridge.domain.dependencies import of_labels
from skald_bridge.domain.facts import State, Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus, StateType
from skald_bridge.domain.records import JournalRecord, TaskDocument

DEADLINE = timedelta(days=7)
"""Skalds' default, after creation."""

PRIORITY_LABEL = "skald.priority"
SOURCE_LABEL = "skald.source"
PERSISTENT_LABEL = "skald.persistent"
DEADLINE_LABEL = "skald.deadline"
"""Unix time in milliseconds; 0 is none."""
MODE_LABEL = "skald.mode"
DESCRIPTION_LABEL = "skald.description"
TASK_ID_LABEL = "skald.task-id"
"""The id under which the worker's own world knows the task, where it is not the run's."""

BORN_IN_PREFECT = "Prefect"
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
class Lifespan:
    """When a task first ran, and when it ended for good so far."""

    started: datetime | None = None
    ended: datetime | None = None

    def after(self, record: JournalRecord) -> Lifespan:
        running = record.state is StateType.RUNNING
        return Lifespan(
            started=self.started or (record.at if running else None),
            ended=record.at if record.state.terminal else None,
        )


NO_SPAN = Lifespan()


def span_of(records: Iterable[JournalRecord]) -> Lifespan:
    span = Lifespan()
    for record in records:
        span = span.after(record)
    return span


def document_of(task: Task, record: JournalRecord, span: Lifespan) -> TaskDocument:
    """The document of a task whose newest journaled state is ``record``."""
    labels = task.labels
    return TaskDocument(
        id=task.id,
        class_name=task.class_name,
        source=str(labels.get(SOURCE_LABEL, BORN_IN_PREFECT)),
        name=task.name,
        executor=record.node or task.node,
        mode=str(labels.get(MODE_LABEL, "Passive")),
        is_persistent=is_persistent(labels),
        created=task.created,
        updated=record.at,
        deadline=_deadline(labels, task.created),
        lifecycle=record.lifecycle,
        priority=priority_of(labels),
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


def result_after(document: TaskDocument, record: JournalRecord) -> dict[str, Any] | None:
    """An attempt that begins has made nothing yet."""
    return None if record.state is StateType.RUNNING else document.result


def moved_on(document: TaskDocument, record: JournalRecord) -> TaskDocument:
    """The document after one more state."""
    span = Lifespan(document.started, document.ended).after(record)
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
        result=result_after(document, record),
    )


def for_controller(document: TaskDocument, upstream: bool) -> TaskDocument:
    """As a Skalds System Controller may see it: one dispatches every Passive document that is Created or Failed.

    What waits here for its node or its next attempt is assigned already; what failed here failed for good, and
    what Prefect's users made is none of its.
    """
    if not upstream:
        return document
    if document.lifecycle is LifecycleStatus.CREATED:
        document = replace(document, lifecycle=LifecycleStatus.ASSIGNING)
    if document.lifecycle is LifecycleStatus.FAILED or document.source == BORN_IN_PREFECT:
        document = replace(document, mode="Active")
    return document


def bare(document: TaskDocument, why: str) -> TaskDocument:
    """What every store can hold of it: ids, status and times, and why the rest is missing."""
    return replace(
        document,
        name=document.id,
        source=document.source[:100],
        attachments={},
        exception=document.exception and why,
        extra={key: document.extra[key] for key in ("foreign",) if key in document.extra} | {"missing": why},
        result=None,
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
        "description": task.labels.get(DESCRIPTION_LABEL),
        "dependencies": list(of_labels(task.labels)),
        "flowRun": task.run if task.run != task.id else None,
    }
    return {key: value for key, value in found.items() if value}


def is_persistent(labels: Mapping[str, Any]) -> bool:
    return str(labels.get(PERSISTENT_LABEL, "")).lower() in ("true", "1")


def given_deadline(labels: Mapping[str, Any]) -> datetime | None:
    """``None`` where none was given, or none is wanted."""
    given = labels.get(DEADLINE_LABEL)
    if not given or not isinstance(given, (int, float)) or isinstance(given, bool):
        return None
    try:
        return datetime.fromtimestamp(given / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _deadline(labels: Mapping[str, Any], created: datetime) -> datetime | None:
    given = labels.get(DEADLINE_LABEL)
    if isinstance(given, (int, float)) and not isinstance(given, bool) and not given:
        return None
    if (found := given_deadline(labels)) is not None:
        return found
    late = created + DEADLINE
    return late.replace(microsecond=late.microsecond // 1000 * 1000)


def priority_of(labels: Mapping[str, Any]) -> int:
    """0…10; 10 is taken first."""
    given = labels.get(PRIORITY_LABEL, 0)
    return min(10, max(0, given)) if isinstance(given, int) else 0


def _shortened(message: str | None) -> str | None:
    if message is None or len(message) <= _MESSAGE_LIMIT:
        return message
    return message[:_MESSAGE_LIMIT] + "…"
