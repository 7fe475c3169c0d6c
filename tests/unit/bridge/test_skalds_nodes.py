from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.pulse import NodeMode, Vitals
from skald_bridge.domain.skalds_nodes import Heard, Lent, SkaldsNode, TellAgain, choose, judge

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TASK = TaskId("t")


def guest(
    name: str, *types: str, age: float = 0, mode: NodeMode = NodeMode.NODE, tasks: int = 0
) -> SkaldsNode:
    has = frozenset(TaskId(f"{name}-{number}") for number in range(tasks))
    return SkaldsNode(NodeId(name), mode, NOW - timedelta(seconds=age), types, has)


def test_the_online_node_of_that_type_with_the_fewest_tasks_gets_it() -> None:
    guests = [
        guest("a", "Cut", tasks=2),
        guest("b", "Cut", tasks=1),
        guest("c", "Sew"),
        guest("d", "Cut", age=10.1),
        guest("e", "Cut", mode=NodeMode.EDGE),
    ]
    assert choose("Cut", guests, {}, NOW) == "b"
    # What it was just given it does not tell yet.
    assert choose("Cut", guests, {NodeId("b"): 3}, NOW) == "a"
    assert choose("Dye", guests, {}, NOW) is None
    assert choose("Cut", [guest("d", "Cut", age=10)], {}, NOW) == "d"


def lent(*, ago: float = 0, heard: float | None = None) -> Lent:
    """Both are seconds before now."""
    last = NOW - timedelta(seconds=heard) if heard is not None else None
    return Lent(TASK, NodeId("n"), NOW - timedelta(seconds=ago), last)


@pytest.mark.parametrize(
    ("beat", "state"),
    [(200, StateType.COMPLETED), (-1, StateType.FAILED), (-2, StateType.CANCELLED), (0, StateType.RUNNING)],
)
def test_a_heartbeat_says_the_state(beat: int, state: StateType) -> None:
    said = judge(lent(), Vitals(beat, "burnt"), guest("n", "Cut"), NOW)
    assert said == Heard(state, "burnt" if state is StateType.FAILED else None)


def test_a_beating_heart_that_was_heard_says_nothing_new() -> None:
    assert judge(lent(heard=1, ago=60), Vitals(17), guest("n"), NOW) is None


def test_a_heart_that_stops_without_a_word_is_a_task_lost() -> None:
    assert judge(lent(heard=2.9, ago=60), Vitals(), guest("n"), NOW) is None
    said = judge(lent(heard=3, ago=60), Vitals(), guest("n"), NOW)
    assert isinstance(said, Heard)
    assert said.state is StateType.FAILED
    assert "n stopped" in (said.message or "")


def test_a_node_that_does_not_begin_is_told_again_and_one_that_went_away_is_not_waited_for() -> None:
    has = SkaldsNode(NodeId("n"), NodeMode.NODE, NOW, ("Cut",), frozenset({TASK}))
    assert judge(lent(ago=15), Vitals(), guest("n"), NOW) is None
    assert judge(lent(ago=16), Vitals(), guest("n"), NOW) == TellAgain()
    assert judge(lent(ago=16), Vitals(), has, NOW) is None
    for gone in (None, guest("n", age=11)):
        said = judge(lent(ago=16), Vitals(), gone, NOW)
        assert isinstance(said, Heard)
        assert said.state is StateType.FAILED
