from __future__ import annotations

import json
from dataclasses import replace

import pytest

from skald_bridge.domain.lifecycle import StateType
from skald_bridge.wire.skalds import INITIATOR, read_event, record_of
from skald_bridge.wire.topics import messages_of, update_of
from tests.contract.records import document, record, task_id


def topics(state: StateType, **changes: object) -> list[str]:
    return [message.topic for message in messages_of(replace(record(task_id(), 1, state), **changes))]  # type: ignore[arg-type]


def test_a_state_is_published_whole_under_its_task() -> None:
    written = record(task_id(), 3)
    (message,) = messages_of(written)
    assert (message.topic, message.key) == ("task.state", written.task)
    assert record_of(json.loads(message.value)) == written
    event = read_event(message.value)
    assert (event.id, event.task_ids, event.initiator) == (written.id, [written.task], INITIATOR)


def test_what_skalds_listens_for_is_said_too() -> None:
    assert topics(StateType.PENDING) == ["task.state", "task.assign"]
    assert topics(StateType.CANCELLING) == ["task.state", "task.cancel"]
    assert topics(StateType.COMPLETED) == ["task.state"]


@pytest.mark.parametrize(("attempt", "said"), [(0, ["task.state", "task.cancel"]), (1, ["task.state"])])
def test_a_cancel_is_said_once(attempt: int, said: list[str]) -> None:
    assert topics(StateType.CANCELLED, attempt=attempt) == said


def test_nobody_is_assigned_without_a_node() -> None:
    assert topics(StateType.PENDING, node=None) == ["task.state"]


def test_new_attachments_are_told_by_task() -> None:
    changed = document(task_id(), revision=4)
    event = read_event(update_of(changed).value)
    assert event.task_ids == [changed.id]
    assert event.id == f"{changed.id}:4"
