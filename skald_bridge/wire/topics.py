"""Kafka's topics and what is written on them; pure.

``task.state`` is ours: every state change of every task, its id the state's, so that a consumer can drop
repeats. The others are Skalds'; what Prefect's users do shows there too.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from skald_bridge.domain.commands import Received
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus, StateType
from skald_bridge.domain.messages import Message
from skald_bridge.domain.records import JournalRecord, TaskDocument
from skald_bridge.wire.skalds import INITIATOR, record_json, to_ms

STATE = "task.state"
ASSIGN = "task.assign"
CANCEL = "task.cancel"
UPDATE = "task.update.attachment"
WORKER_UPDATE = "taskworker.update"
REJECTED = "task.rejected"
OURS = (STATE, ASSIGN, CANCEL, UPDATE, WORKER_UPDATE, REJECTED)
COMMANDS = (ASSIGN, CANCEL, UPDATE, WORKER_UPDATE)
"""Those on which Skalds' users command."""
MOST_BYTES = 256 * 1024
"""A command is no longer; of a longer record, the rejection quotes so much."""
MOST_TEXT = 256 * 1024
"""Bytes of a quotation as JSON writes it: NUL is one byte there and six here."""
_MOST_KEY, _MOST_REASON = 4096, 16 * 1024


def messages_of(record: JournalRecord) -> list[Message]:
    """The state change, and what Skalds' documents say happens with it."""
    made = [Message(STATE, record.task, _bytes(record_json(record)))]
    if record.lifecycle is LifecycleStatus.ASSIGNING and record.node is not None:
        made.append(_event(ASSIGN, record, record.node))
    elif _is_cancel(record):
        made.append(_event(CANCEL, record, record.node))
    return made


def update_of(document: TaskDocument) -> Message:
    """New attachments are in the task's document."""
    id_ = f"{document.id}:{document.revision}"
    return reread_of(document.id, document.executor, id_, document.updated)


def assign_of(task: TaskId, node: NodeId, id_: str, at: datetime) -> Message:
    """A task for a Skalds node."""
    return Message(ASSIGN, task, _bytes(_task_event(id_, "Assign", node, at, task)))


def cancel_of(task: TaskId, node: NodeId, id_: str, at: datetime) -> Message:
    return Message(CANCEL, task, _bytes(_task_event(id_, "Cancel", node, at, task)))


def reread_of(task: TaskId, node: NodeId | None, id_: str, at: datetime) -> Message:
    """New attachments are in the task's document."""
    return Message(UPDATE, task, _bytes(_task_event(id_, "Update", node, at, task)))


def rejection_of(record: Received, reason: str, at: datetime, *, quoted: int = MOST_BYTES) -> Message:
    """The record as it was, and why nothing came of it; below 700 kB whatever the record is.

    ``value`` is Base64 of its first ``quoted`` bytes, ``text`` the same where it is UTF-8 and short enough.
    """
    value = (record.value or b"")[:quoted]
    told = {
        "reason": _cut(reason, _MOST_REASON),
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "size": len(record.value or b""),
        "key": _text((record.key or b"")[:_MOST_KEY], _MOST_REASON),
        "value": b64encode(value).decode(),
        "text": _text(value, MOST_TEXT),
        "createDateTime": to_ms(at),
    }
    return Message(REJECTED, f"{record.topic}/{record.partition}", _bytes(told))


def _text(data: bytes, most: int) -> str | None:
    """``None`` for what is no UTF-8, or longer than ``most`` bytes as JSON."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if len(orjson.dumps(text)) <= most else None


def _cut(text: str, most: int) -> str:
    """Valid Unicode, of at most ``most`` bytes as JSON."""
    clean = text.encode(errors="replace").decode()
    while len(orjson.dumps(clean)) > most:
        clean = clean[: len(clean) // 2] + "…"
    return clean


def _is_cancel(record: JournalRecord) -> bool:
    """A task that had not started becomes Cancelled without being Cancelling."""
    return record.state is StateType.CANCELLING or (
        record.state is StateType.CANCELLED and record.attempt == 0
    )


def _event(topic: str, record: JournalRecord, recipient: str | None) -> Message:
    title = topic.rpartition(".")[2].capitalize()
    return Message(
        topic, record.task, _bytes(_task_event(record.id, title, recipient, record.at, record.task))
    )


def _task_event(id_: str, title: str, recipient: str | None, at: datetime, task: str) -> dict[str, Any]:
    return {
        "id": id_,
        "title": title,
        "initiator": INITIATOR,
        "recipient": recipient,
        "createDateTime": to_ms(at),
        "updateDateTime": to_ms(at),
        "taskIds": [task],
    }


def _bytes(told: Mapping[str, Any]) -> bytes:
    return orjson.dumps(told)
