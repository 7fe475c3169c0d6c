from __future__ import annotations

import pytest

from tests.chaos.lag import (
    CHANGES,
    DELIVERED,
    JOURNAL,
    KAFKA,
    MONGO,
    REDIS,
    RUNNING,
    STARTED,
    Outage,
    Series,
    caught_up_after,
    stood_still,
    value_at,
)
from tests.chaos.plan import Fault, How, Target

RISING: Series = [(float(second), float(second)) for second in range(40)]
STILL: Series = [(float(second), 5.0) for second in range(40)]


def outage(target: Target, began: float = 10.0, ended: float = 20.0) -> Outage:
    return Outage(Fault(target, How.KILL, 0.0, ended - began), began, ended)


def test_a_value_holds_until_the_next() -> None:
    series = [(1.0, 10.0), (3.0, 30.0)]
    assert [value_at(series, at) for at in (0.5, 1.0, 2.9, 3.0, 9.0)] == [0, 10, 10, 30, 30]


def test_what_moved_while_kafka_was_away_went_on() -> None:
    meters = dict.fromkeys((STARTED, JOURNAL, REDIS, MONGO), RISING)
    assert stood_still(outage(Target.KAFKA), meters) == []


def test_what_did_not_move_stood_still() -> None:
    meters = {**dict.fromkeys((STARTED, JOURNAL, MONGO), RISING), REDIS: STILL}
    assert stood_still(outage(Target.KAFKA), meters) == [REDIS]


def test_what_was_never_measured_stood_still() -> None:
    assert stood_still(outage(Target.PREFECT), {}) == [REDIS]


def test_a_change_between_the_last_sample_before_and_the_first_within_is_one() -> None:
    assert stood_still(outage(Target.BRIDGE), {STARTED: [(9.0, 1.0), (11.0, 2.0)]}) == []


def test_nothing_is_said_of_a_short_outage() -> None:
    assert stood_still(outage(Target.KAFKA, 10, 12), {}) == []


@pytest.mark.parametrize(
    ("target", "source", "sink"),
    [
        (Target.KAFKA, JOURNAL, DELIVERED[KAFKA]),
        (Target.REDIS, CHANGES, DELIVERED[REDIS]),
        (Target.LINK, CHANGES, DELIVERED[REDIS]),
        (Target.MONGO, CHANGES, DELIVERED[MONGO]),
        (Target.BRIDGE, STARTED, RUNNING),
        (Target.DISK, STARTED, RUNNING),
    ],
)
def test_catching_up_is_measured_from_the_end_of_the_outage(target: Target, source: str, sink: str) -> None:
    behind = [(at, value if at < 10 else max(9.0, value - 4)) for at, value in RISING]
    assert caught_up_after(outage(target), {source: RISING, sink: behind}) == 4.0


def test_what_never_caught_up() -> None:
    assert caught_up_after(outage(Target.KAFKA), {JOURNAL: RISING, DELIVERED[KAFKA]: STILL}) is None
