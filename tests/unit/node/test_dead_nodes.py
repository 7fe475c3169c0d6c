from __future__ import annotations

from work_pools.node.reconcile.dead_nodes import LONGEST_GAP, DeadNodes

PATIENCE, STEP = 60.0, 15.0
LOOKS = [1000.0 + STEP * number for number in range(int(PATIENCE / STEP) + 1)]


def test_a_node_that_stays_silent_is_given_up() -> None:
    silence = DeadNodes(PATIENCE)
    found = [silence.given_up({"a"}, now) for now in LOOKS]
    assert found[-1] == {"a"} and not any(found[:-1])


def test_a_node_that_was_heard_of_is_silent_from_then_on() -> None:
    silence = DeadNodes(PATIENCE)
    for now in LOOKS[:-1]:
        silence.given_up({"a", "b"}, now)
    assert silence.given_up({"a"}, LOOKS[-1]) == {"a"}
    assert silence.given_up({"a", "b"}, LOOKS[-1] + STEP) == {"a"}


def test_a_gap_between_looks_begins_the_silence_anew() -> None:
    """The server was away: it could hear nobody."""
    silence = DeadNodes(PATIENCE)
    for now in LOOKS[:-1]:
        silence.given_up({"a"}, now)
    late = LOOKS[-2] + LONGEST_GAP + 1
    assert silence.given_up({"a"}, late) == frozenset()
    assert silence.given_up({"a"}, late + STEP) == frozenset()
