"""Tasks that Prefect does not run: refused ones, and those of Skalds' own nodes; pure."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid5

from skald_bridge.domain.causes import Reported
from skald_bridge.domain.commands import NewTask
from skald_bridge.domain.documents import exception_of, moved_on, next_record
from skald_bridge.domain.facts import State
from skald_bridge.domain.ids import StateId
from skald_bridge.domain.lifecycle import CLOSED
from skald_bridge.domain.records import FOREIGN, JournalRecord, TaskDocument
from skald_bridge.domain.values import json_bytes

MOST_KEPT = 256 * 2**10
"""Bytes of attachments that the archive keeps of a task that was refused: they would be written twice."""
_NAMESPACE = UUID("5f6d4f1e-6b0a-4c8e-9d8b-0d0a9b1c7e55")


def foreign(
    cause: Reported, last: JournalRecord | None, document: TaskDocument | None
) -> tuple[JournalRecord, TaskDocument]:
    """The next record of such a task, and its document; a state of Prefect's may have gone before."""
    new = cause.new
    number = last.sequence + 1 if last is not None else 1
    state = State(
        id=StateId(str(uuid5(_NAMESPACE, f"{new.id} {number} {cause.state}"))),
        type=cause.state,
        name=cause.state.capitalize(),
        at=cause.at,
        message=cause.message,
    )
    record = next_record(state, last, task=new.id, class_name=new.class_name)
    record = replace(record, node=cause.node or record.node)
    if document is not None and _continues(document, cause):
        return record, moved_on(document, record)
    fresh = TaskDocument(
        id=new.id,
        class_name=new.class_name,
        source=new.source,
        name=new.name or new.id,
        executor=record.node,
        mode=new.mode,
        is_persistent=new.is_persistent,
        created=new.created,
        updated=cause.at,
        deadline=new.deadline,
        lifecycle=record.lifecycle,
        priority=new.priority,
        attachments=new.attachments,
        state_id=record.id,
        sequence=record.sequence,
        state_name=record.name,
        attempt=record.attempt,
        exception=exception_of(record),
        ended=record.at if record.state.terminal else None,
        extra={FOREIGN: True}
        | ({"description": new.description} if new.description else {})
        | ({"dependencies": list(new.dependencies)} if new.dependencies else {}),
    )
    return record, fresh


def bounded(new: NewTask, reason: str) -> tuple[NewTask, str]:
    """A task that is refused as it is to be kept, and the reason, which says so where something is left out."""
    if (size := json_bytes(new.attachments)) <= MOST_KEPT:
        return new, reason
    note = f"its attachments, {size / 2**20:.1f} MiB, are not kept"
    return replace(new, attachments={}), f"{reason} ({note})"


def _continues(document: TaskDocument, cause: Reported) -> bool:
    """Not so for a task that is made anew of what its document says by now."""
    if not document.foreign or (document.lifecycle in CLOSED and not cause.state.terminal):
        return False
    new = cause.new
    return (document.class_name, document.attachments) == (new.class_name, new.attachments)
