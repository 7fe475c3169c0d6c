"""Who gives way."""

from __future__ import annotations

from skald_work_pools.needs import Needs
from skald_work_pools.placement.model import Grant
from skald_work_pools.placement.preemption import Preemption, preemption
from tests.unit.placement.members import NOW, after, asks, fleet_of, granted, node, worker


def names(found: Preemption | None) -> list[str]:
    assert found is not None
    return [grant.task for grant in found.victims]


def test_the_lowest_then_the_newest_then_the_best_checkpointed_gives_way() -> None:
    fleet = fleet_of(worker("a", 3))
    granted(fleet, asks("old", priority=1), NOW)
    granted(fleet, asks("new", priority=1), after(5))
    granted(fleet, asks("mid", priority=2), after(6))
    high = asks("high", priority=9)
    assert names(preemption(high, fleet, after(8))) == ["new"]
    assert names(preemption(high, fleet, after(8), {"old": after(7)})) == ["old"]
    assert preemption(asks("equal", priority=1), fleet, after(8)) is None


def test_no_more_victims_than_are_needed() -> None:
    fleet = fleet_of(node("n", 16, 16, cpus=16))
    granted(fleet, asks("cpus", Needs(cpus=8)), NOW)
    granted(fleet, asks("gpu", Needs(gpus=1, cpus=1), priority=1), NOW)
    granted(fleet, asks("share", Needs(gpu_memory="1GiB"), priority=2), NOW)
    assert names(preemption(asks("one", Needs(gpus=1), priority=5), fleet, after(1))) == ["gpu"]
    assert names(preemption(asks("two", Needs(gpus=2), priority=5), fleet, after(1))) == ["gpu", "share"]
    assert preemption(asks("three", Needs(gpus=3), priority=5), fleet, after(1)) is None
    assert preemption(asks("fits", Needs(cpus=1), priority=5), fleet, after(1)) is None


def test_the_member_with_the_cheapest_victims_is_taken_and_has_room_then() -> None:
    fleet = fleet_of(worker("dear", 1), worker("cheap", 1))
    granted(fleet, asks("1", priority=3, node="dear"))
    granted(fleet, asks("2", priority=1, node="cheap"))
    request = asks("high", priority=5)
    found = preemption(request, fleet, after(1))
    assert (found.member, names(found), found.lost) == ("cheap", ["2"], 1.0)
    fleet.release("2", after(1))
    answer = fleet.place(request, after(1))
    assert isinstance(answer, Grant)
    assert answer.member == "cheap"


def test_nobody_gives_way_where_it_would_not_help() -> None:
    fleet = fleet_of(worker("a", 1), worker("b", 1, "x"), resources={"licence": 0})
    granted(fleet, asks("1", node="a"))
    granted(fleet, asks("2", node="b", priority=9))
    assert preemption(asks("3", priority=5, required=frozenset({"x"})), fleet, NOW) is None
    assert preemption(asks("4", priority=5, resources={"licence": 1}), fleet, NOW) is None
