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


def rejection_of(record: Received, reason: str, at: datetime) -> Message:
    """The record as it was, and why nothing came of it; ``value`` is Base64, ``text`` where it is UTF-8."""
    value = (record.value or b"")[:MOST_BYTES]
    told = {
        "reason": reason,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "size": len(record.value or b""),
        "key": _text(record.key or b""),
        "value": b64encode(value).decode(),
        "text": _text(value),
        "createDateTime": to_ms(at),
    }
    return Message(REJECTED, f"{record.topic}/{record.partition}", _bytes(told))


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


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
