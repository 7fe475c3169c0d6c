"""The restart policy."""

from __future__ import annotations

import pytest

from skald_bridge.installation.restarts import FULL, GiveUp, Restart, RestartPolicy, cause

POLICY = RestartPolicy(first=0.5, longest=4, window=60, most=5)


def test_delays_double_to_the_longest_and_a_crash_loop_is_given_up() -> None:
    ends: list[float] = []
    decisions = []
    for now in (0.0, 1.0, 3.0, 6.0, 11.0):
        ends.append(now)
        decisions.append(POLICY.decide(ends, now))
    assert decisions == [Restart(0.5), Restart(1), Restart(2), Restart(4), GiveUp(5, 60)]


def test_an_end_after_a_long_time_starts_anew() -> None:
    assert POLICY.decide([0, 1, 2, 3, 100], 100) == Restart(0.5)


def test_no_delay_is_longer_than_the_longest() -> None:
    policy = RestartPolicy(first=1, longest=3, window=1000, most=100)
    assert policy.decide(list(range(20)), 20) == Restart(3)


def test_futile_starts_are_given_up_however_long_each_took() -> None:
    policy = RestartPolicy(unready=3)
    assert isinstance(policy.decide([0.0, 90.0], 90.0, futile=2), Restart)
    assert policy.decide([90.0, 180.0, 270.0], 270.0, futile=3) == GiveUp(3)


def test_a_part_that_says_so_is_not_started_again() -> None:
    assert RestartPolicy().decide([0.0], 0.0, futile=1, final=True) == GiveUp(1)


@pytest.mark.parametrize(
    ("lines", "free", "said"),
    [
        ([], None, ""),
        (["INFO started", "INFO ready"], FULL, ""),
        (["INFO started", "    raise ValueError", "ValueError: a", "bye"], FULL, "ValueError: a"),
        (
            ["sqlite3.OperationalError: database or disk is full", "Application startup failed"],
            None,
            "its disk is full",
        ),
        ([], FULL - 1, "its disk is full"),
    ],
)
def test_the_cause_is_the_last_error_told_or_the_full_disk(
    lines: list[str], free: int | None, said: str
) -> None:
    assert cause(lines, free) == said
