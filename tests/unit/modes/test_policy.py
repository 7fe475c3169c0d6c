from __future__ import annotations

import pytest

from skald_bridge.domain.lifecycle import StateType
from skald_bridge.modes.policy import LONGEST_DELAY, STEADY, Track, ended, exit_code


def running(persistent: bool = True) -> Track:
    return Track("a", persistent).started("run-1", 0.0)


def test_an_entry_is_due_at_once_and_started_once() -> None:
    assert Track("a", True).due == 0.0
    started = running()
    assert (started.run, started.due, started.runs) == ("run-1", None, 1)


@pytest.mark.parametrize(
    "state", [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED]
)
def test_an_entry_that_ends_is_over(state: StateType) -> None:
    over = ended(running(persistent=False), state, 1.0)
    assert (over.result, over.due, over.run) == (state, None, None)


@pytest.mark.parametrize("state", [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED])
def test_a_persistent_entry_starts_again_with_growing_delays(state: StateType) -> None:
    track, delays, now = running(), [], 0.0
    for number in range(8):
        track = ended(track, state, now)
        assert track.due is not None and track.result is None
        delays.append(track.due - now)
        now = track.due
        track = track.started(f"run-{number}", now)
    assert delays == [1, 2, 4, 8, 16, 32, LONGEST_DELAY, LONGEST_DELAY]


def test_a_task_that_ran_well_starts_the_delays_anew() -> None:
    track = ended(running(), StateType.FAILED, 0.0)
    track = ended(track.started("run-2", 1.0), StateType.FAILED, 2.0)
    track = ended(track.started("run-3", 4.0), StateType.FAILED, 4.0 + STEADY)
    assert track.due == 4.0 + STEADY + 1.0
    assert track.runs == 3


def test_a_cancelled_persistent_entry_stays_down() -> None:
    assert ended(running(), StateType.CANCELLED, 1.0).result is StateType.CANCELLED


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([StateType.COMPLETED, StateType.CANCELLED, None], 0),
        ([StateType.COMPLETED, StateType.FAILED], 1),
        ([StateType.CRASHED], 1),
    ],
)
def test_the_exit_code_is_the_worst_end(results: list[StateType | None], code: int) -> None:
    assert exit_code([Track("a", False, result=result) for result in results]) == code
