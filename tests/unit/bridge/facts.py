"""Facts for the mirror's tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from skald_bridge.domain.facts import State, StateHint, Task
from skald_bridge.domain.ids import StateId, TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_work_pools.messages import TAKEN_BY

TASK = TaskId("00000000-0000-0000-0000-000000000001")
START = datetime(2026, 1, 1, tzinfo=UTC)


def state(number: int, type: StateType, *, message: str | None = None, name: str | None = None) -> State:
    at = START + timedelta(seconds=number)
    return State(StateId(f"state-{number:04}"), type, name or type.value.capitalize(), at, message)


def history(*types: StateType, node: str = "n1") -> list[State]:
    return [
        state(number, type, message=TAKEN_BY + node if type is StateType.PENDING else None)
        for number, type in enumerate(types)
    ]


def hints(states: list[State]) -> list[StateHint]:
    """What Prefect says of them."""
    first = StateHint(TASK, states[0], None, first=True, name="happy-otter", class_name="Probe")
    return [first, *(hint_after(before, after) for before, after in pairwise(states))]


def hint_after(before: State, after: State) -> StateHint:
    return StateHint(TASK, after, before.id, name="happy-otter", class_name="Probe")


def task(current: State | None, *, revision: int = 1, attachments: dict[str, object] | None = None) -> Task:
    return Task(
        id=TASK,
        name="happy-otter",
        class_name="Probe",
        state=current,
        created=START,
        attachments=attachments or {"inputUrl": "bikes.mp4"},
        revision=revision,
    )
