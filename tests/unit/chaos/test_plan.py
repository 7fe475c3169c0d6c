from __future__ import annotations

from collections import defaultdict

from tests.chaos.plan import HOWS, LONGEST_AWAY, How, Target, estimated_seconds, plan

ROUND = len(Target)


def test_a_seed_gives_the_same_faults_again_and_another_seed_gives_others() -> None:
    assert plan(7, 40) == plan(7, 40)
    assert plan(7, 40) != plan(8, 40)


def test_more_faults_begin_with_the_same_ones() -> None:
    assert plan(7, 40)[:24] == plan(7, 24)


def test_each_round_strikes_every_target_once() -> None:
    faults = plan(3, 3 * ROUND)
    for start in range(0, len(faults), ROUND):
        assert {fault.target for fault in faults[start : start + ROUND]} == set(Target)


def test_three_rounds_bring_every_kind_of_every_target() -> None:
    seen: dict[Target, set[How]] = defaultdict(set)
    for fault in plan(5, 3 * ROUND):
        seen[fault.target].add(fault.how)
    assert {target: set(hows) for target, hows in HOWS.items()} == seen


def test_how_long_each_kind_lasts() -> None:
    for fault in plan(11, 10 * ROUND, seconds=10):
        if fault.how is How.RESTART:
            assert fault.away == 0
        elif fault.how is How.KILL:
            assert 0 <= fault.away <= LONGEST_AWAY
        else:
            assert fault.away == 10


def test_both_nodes_are_struck() -> None:
    assert {fault.node for fault in plan(1, 10 * ROUND) if fault.target is Target.NODE} == {0, 1}


def test_an_estimate_counts_the_outages() -> None:
    faults = plan(2, ROUND, seconds=10)
    assert estimated_seconds(faults) > sum(fault.away for fault in faults)
