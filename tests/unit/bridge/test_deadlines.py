from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from skald_bridge.domain.deadlines import CancelOverdue, End, LatePolicy, late
from skald_bridge.domain.facts import State, Task
from skald_bridge.domain.ids import StateId, TaskId
from skald_bridge.domain.lifecycle import StateType

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def task(type_: StateType, *, attempt: int = 0, deadline: int | None = None, **labels: Any) -> Task:
    given = {} if deadline is None else {"skald.deadline": deadline}
    state = State(StateId("s"), type_, type_.capitalize(), NOW)
    return Task(TaskId("t"), "t", "Cut", state, NOW, attempt=attempt, labels={**given, **labels})


PAST = int((NOW - timedelta(seconds=1)).timestamp() * 1000)
PERSISTENT = {"skald.persistent": True}


@pytest.mark.parametrize(
    ("policy", "type_", "expected"),
    [
        (LatePolicy.FAIL, StateType.SCHEDULED, End),
        (LatePolicy.CANCEL, StateType.SCHEDULED, End),
        (LatePolicy.FAIL, StateType.RUNNING, CancelOverdue),
        (LatePolicy.CANCEL, StateType.PAUSED, CancelOverdue),
        (LatePolicy.FAIL, StateType.PENDING, None),
        (LatePolicy.FAIL, StateType.CANCELLING, None),
        (LatePolicy.FAIL, StateType.COMPLETED, None),
        (LatePolicy.IGNORE, StateType.SCHEDULED, None),
        (LatePolicy.IGNORE, StateType.RUNNING, None),
    ],
)
def test_what_becomes_of_a_late_task(policy: LatePolicy, type_: StateType, expected: type | None) -> None:
    verdict = late(task(type_, deadline=PAST), policy, NOW)
    assert (type(verdict) if verdict else None) is expected
    if verdict is not None:
        assert "2026-01-02 03:04:04 UTC" in verdict.reason
    if isinstance(verdict, End):
        assert verdict.cancelled == (policy is LatePolicy.CANCEL)


def test_only_a_deadline_that_was_given_and_is_over_counts() -> None:
    for deadline in (None, 0, PAST + 1001):
        assert late(task(StateType.SCHEDULED, deadline=deadline), LatePolicy.FAIL, NOW) is None
    assert late(task(StateType.SCHEDULED, deadline=PAST + 1000), LatePolicy.FAIL, NOW) is not None


def test_a_persistent_task_must_start_in_time_and_may_go_on() -> None:
    def verdict(type_: StateType, attempt: int) -> End | CancelOverdue | None:
        return late(task(type_, attempt=attempt, deadline=PAST, **PERSISTENT), LatePolicy.FAIL, NOW)

    assert isinstance(verdict(StateType.SCHEDULED, 0), End)
    assert verdict(StateType.RUNNING, 1) is None
    assert verdict(StateType.SCHEDULED, 1) is None
