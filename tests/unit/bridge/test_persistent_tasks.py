from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from skald_bridge.domain.documents import records_of
from skald_bridge.domain.lifecycle import StateType as S
from skald_bridge.domain.persistent_tasks import starts_again
from tests.unit.bridge.facts import TASK, history

CRASHED = records_of(history(S.SCHEDULED, S.PENDING, S.RUNNING, S.CRASHED), task=TASK, class_name="Probe")[-1]
NOW = CRASHED.at + timedelta(hours=1)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 1), (2, 2), (5, 16), (7, 60), (5000, 60)])
def test_each_attempt_waits_twice_as_long_up_to_a_minute(attempt: int, seconds: float) -> None:
    assert starts_again(replace(CRASHED, attempt=attempt), NOW) == seconds


def test_only_a_crash_of_something_that_ran_and_not_long_ago() -> None:
    assert starts_again(CRASHED, CRASHED.at + timedelta(hours=25)) is None
    assert starts_again(replace(CRASHED, attempt=0), NOW) is None
    for state in S:
        if state is not S.CRASHED:
            assert starts_again(replace(CRASHED, state=state), NOW) is None
