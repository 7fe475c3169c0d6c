"""Prefect's states to the Skalds world: what is known of a task, one cause, and the effects; pure.

The journal of a task is always its complete history up to some state. A state heard of that follows the last
journaled one is held until it is proven: by the next one, which follows it, or by a look at the task. In any
other case the whole history is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from skald_bridge.domain.causes import Concluded, Gone, Relation, Reported, Seen, Stored, Told, relation
from skald_bridge.domain.documents import (
    NO_SPAN,
    Lifespan,
    closed,
    document_of,
    exception_of,
    moved_on,
    next_record,
    records_of,
    result_after,
    span_of,
)
from skald_bridge.domain.effects import Append, Effect, EndPulse, Fetch, Hold, Put
from skald_bridge.domain.facts import RevisionHint, State, StateHint, Task
from skald_bridge.domain.lifecycle import LifecycleStatus, StateType
from skald_bridge.domain.records import JournalRecord, TaskDocument
from skald_bridge.domain.unrun_tasks import foreign

ENDS = {LifecycleStatus.FINISHED: 200, LifecycleStatus.FAILED: -1, LifecycleStatus.CANCELLED: -2}
"""Skalds' last heartbeats."""

Cause = StateHint | RevisionHint | Stored | Seen | Told | Gone | Reported | Concluded


@dataclass(frozen=True)
class Known:
    """The newest of a task in the journal and in the archive, and a hint that is not proven yet.

    ``span`` is that of the journaled states; ``None`` where it is not known.
    """

    last: JournalRecord | None = None
    document: TaskDocument | None = None
    held: StateHint | None = None
    span: Lifespan | None = NO_SPAN

    @classmethod
    def stored(cls, last: JournalRecord | None, document: TaskDocument | None) -> Known:
        """What journal and archive hold of a task."""
        if last is None:
            return cls(None, document)
        if document is None or document.state_id != last.id:
            return cls(last, document, span=None)
        return cls(last, document, span=Lifespan(document.started, document.ended))

    def after(self, effects: Sequence[Effect]) -> Known:
        """What is known once the effects are done."""
        last, document, held, span = self.last, self.document, self.held, self.span
        for effect in effects:
            match effect:
                case Append(record):
                    last, held = record, None
                    span = span and span.after(record)
                case Put(new):
                    document, span = new, Lifespan(new.started, new.ended)
                case Hold(hint):
                    held = hint
                case Fetch():
                    held = None
        return Known(last, document, held, span)


def decide(known: Known, cause: Cause) -> list[Effect]:
    """Effects in the order in which they must be done."""
    match cause:
        case StateHint():
            return _heard(known, cause)
        case RevisionHint():
            return _revised(known, cause)
        case Stored(state):
            held = known.held is not None and known.held.state.id == state
            return _proven(known) if held else []
        case Seen(task):
            return _seen(known, task)
        case Told(task, history):
            return _told(known, task, history)
        case Gone():
            return _gone(known)
        case Reported():
            return _reported(known, cause)
        case Concluded(result):
            return _concluded(known, result)


def _heard(known: Known, hint: StateHint) -> list[Effect]:
    match relation(hint, known.last, known.held):
        case Relation.REPEAT:
            return []
        case Relation.UNCLEAR:
            return [Fetch(hint.task)]
        case Relation.NEXT:
            return [Hold(hint)]
        case Relation.PROOF:
            return [*_proven(known), Hold(hint)]


def _proven(known: Known) -> list[Effect]:
    record = _held_record(known)
    effects: list[Effect] = [Append(record), *_end(record)]
    if known.document is not None:
        effects.append(Put(moved_on(known.document, record)))
    return effects


def _held_record(known: Known) -> JournalRecord:
    held = known.held
    if held is None:
        raise ValueError("no hint is held")
    class_name = known.last.class_name if known.last else held.class_name
    return next_record(held.state, known.last, task=held.task, class_name=class_name)


def _revised(known: Known, hint: RevisionHint) -> list[Effect]:
    if known.document is None:
        return [Fetch(hint.task)]
    if hint.revision <= known.document.revision:
        return []
    return [Put(replace(known.document, revision=hint.revision, attachments=hint.attachments))]


def _seen(known: Known, task: Task) -> list[Effect]:
    if task.state is None:
        return []
    if known.span is None:
        return [Fetch(task.id)]
    if known.held is not None and task.state.id == known.held.state.id:
        record = _held_record(known)
        return [Append(record), *_end(record), Put(_fresh(known, task, record, known.span.after(record)))]
    if known.last is None or known.last.id != task.state.id:
        return [Fetch(task.id)]
    fresh = _fresh(known, task, known.last, known.span)
    return [Put(fresh)] if fresh != known.document else []


def _told(known: Known, task: Task, history: tuple[State, ...]) -> list[Effect]:
    records = records_of(history, task=task.id, class_name=task.class_name)
    if not records:
        return []
    new = _beyond(records, known.last)
    newest = new[-1] if new else known.last or records[-1]
    effects: list[Effect] = [Append(record) for record in new]
    if new:
        effects += _end(newest)
    fresh = _fresh(known, task, newest, span_of(records))
    return [*effects, Put(fresh)] if fresh != known.document else effects


def _fresh(known: Known, task: Task, record: JournalRecord, span: Lifespan) -> TaskDocument:
    """The document of what the task is now; attachments newer than Prefect's stay."""
    fresh = document_of(task, record, span)
    if known.document is None:
        return fresh
    fresh = replace(fresh, result=result_after(known.document, record))
    if known.document.revision <= task.revision:
        return fresh
    return replace(fresh, revision=known.document.revision, attachments=known.document.attachments)


def _beyond(records: list[JournalRecord], last: JournalRecord | None) -> list[JournalRecord]:
    """The records after ``last``; where Prefect has lost that state, the later ones, counted on from it."""
    if last is None:
        return records
    for index, record in enumerate(records):
        if record.id == last.id:
            return records[index + 1 :]
    later = [record for record in records if record.at > last.at]
    return [replace(record, sequence=last.sequence + n) for n, record in enumerate(later, 1)]


def _gone(known: Known) -> list[Effect]:
    if known.document is None or known.document.foreign or known.document.lifecycle in ENDS:
        return []
    document = closed(known.document)
    return [EndPulse(document.id, ENDS[document.lifecycle], document.exception), Put(document)]


def _reported(known: Known, cause: Reported) -> list[Effect]:
    last = known.last
    if last is not None and (last.state, last.node) == (cause.state, cause.node or last.node):
        return []
    record, document = foreign(cause, last, known.document)
    return [Append(record), *_end(record), Put(document)]


def _concluded(known: Known, result: dict[str, Any] | None) -> list[Effect]:
    if known.document is None or known.document.result == result:
        return []
    if known.last is not None and known.last.state is StateType.RUNNING:
        return []
    return [Put(replace(known.document, result=result))]


def _end(record: JournalRecord) -> list[Effect]:
    if record.lifecycle not in ENDS:
        return []
    return [EndPulse(record.task, ENDS[record.lifecycle], exception_of(record))]
