"""Records and documents for the contract suites."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from skald_bridge.domain.ids import NodeId, StateId, TaskId
from skald_bridge.domain.lifecycle import StateType, lifecycle_of
from skald_bridge.domain.records import JournalRecord, TaskDocument

AT = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


def task_id() -> TaskId:
    return TaskId(str(uuid4()))


def record(task: TaskId, sequence: int, state: StateType = StateType.RUNNING) -> JournalRecord:
    return JournalRecord(
        id=StateId(str(uuid4())),
        task=task,
        sequence=sequence,
        class_name="Probe",
        lifecycle=lifecycle_of(state),
        state=state,
        name=state.value.capitalize(),
        at=AT + timedelta(seconds=sequence),
        message="gefräßig 🎬\n'; DROP TABLE journal; --",
        node=NodeId("n1"),
        attempt=1,
    )


def document(
    task: TaskId, sequence: int = 1, state: StateType = StateType.RUNNING, **changes: object
) -> TaskDocument:
    made = TaskDocument(
        id=task,
        class_name="Probe",
        source="Prefect",
        name="happy-otter",
        executor=NodeId("n1"),
        mode="Passive",
        is_persistent=False,
        created=AT,
        updated=AT + timedelta(seconds=sequence),
        deadline=None,
        lifecycle=lifecycle_of(state),
        priority=3,
        attachments={"inputUrl": "bikes.mp4", "nested": {"größe": [1, 2.5, None, True]}},
        state_id=StateId(str(uuid4())),
        sequence=sequence,
        state_name=state.value.capitalize(),
        attempt=1,
        started=AT,
        extra={"pool": "cpu", "tags": ["a"]},
    )
    return replace(made, **changes)  # type: ignore[arg-type]
