"""The restart policy."""

from __future__ import annotations

from skald_bridge.installation.restarts import GiveUp, Restart, RestartPolicy

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
