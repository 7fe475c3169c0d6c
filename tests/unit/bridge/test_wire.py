"""Skalds' JSON."""

from __future__ import annotations

import json

import pytest

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.lifecycle import LifecycleStatus
from skald_bridge.wire.skalds import (
    INITIATOR,
    document_json,
    document_of,
    read_event,
    read_submitted,
    record_json,
    record_of,
)
from tests.contract.records import AT, document, record, task_id

CONTRACT = {
    "id", "className", "source", "name", "description", "executor", "dependencies", "mode", "isPersistent",
    "createDateTime", "updateDateTime", "deadlineDateTime", "lifecycleStatus", "priority", "attachments",
}  # fmt: skip
TASK_EVENT = {"id", "title", "initiator", "recipient", "createDateTime", "updateDateTime", "taskIds"}


def test_a_document_has_the_contracts_fields_and_comes_back() -> None:
    made = document(task_id(), deadline=AT.replace(microsecond=5000))
    sent = json.loads(json.dumps(document_json(made)))
    assert sent.keys() >= CONTRACT
    assert sent["createDateTime"] == int(AT.timestamp() * 1000)
    assert sent["lifecycleStatus"] == "Running"
    assert document_of(sent) == made
    assert document_json(document(task_id()))["deadlineDateTime"] == 0


def test_a_record_is_a_task_event_and_comes_back() -> None:
    made = record(task_id(), 4)
    sent = json.loads(json.dumps(record_json(made)))
    assert sent.keys() >= TASK_EVENT
    assert record_of(sent) == made
    event = read_event(json.dumps(sent))
    assert event.task_ids == [made.task]
    assert event.initiator == INITIATOR


@pytest.mark.parametrize(
    "sent",
    [
        {"taskIds": ["a"], "createDateTime": 5, "updateDateTime": 6},
        {"task_ids": ["a"], "create_date_time": 5, "update_date_time": 6, "unknown": 1},
    ],
)
def test_events_come_in_both_spellings(sent: dict[str, object]) -> None:
    event = read_event(json.dumps(sent).encode())
    assert (event.task_ids, event.create_date_time, event.update_date_time) == (["a"], 5, 6)


def test_submitted_documents() -> None:
    submitted = read_submitted({"id": "t", "class_name": "Probe", "lifecycleStatus": "Created"})
    assert submitted.lifecycle_status is LifecycleStatus.CREATED
    assert submitted.mode == "Passive"


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        (b"\xff\x00", "not JSON"),
        (b"[1]", "Submitted"),
        (b'{"id": "t"}', "className"),
        (b'{"id": "t", "className": "Probe", "priority": 11}', "priority"),
        (b'{"id": "t", "className": "Probe", "attachments": [1]}', "attachments"),
    ],
)
def test_bad_documents_name_the_field(sent: bytes, named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        read_submitted(sent)
