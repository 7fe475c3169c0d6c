"""Which member is the best one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from skald_work_pools.gpu_choice import GpuState
from skald_work_pools.needs import Needs
from skald_work_pools.placement.fleet import Fleet
from skald_work_pools.placement.gang import place_all
from skald_work_pools.placement.model import Order, Refusal, Reservation
from tests.unit.placement.members import GIB, NOW, after, asks, fleet_of, granted, idle, node, refused, worker


def test_near_equals_are_drawn_from_the_seed() -> None:
    def chosen(seed: int) -> list[str]:
        fleet = Fleet(seed)
        for number in range(20):
            fleet.report(worker(f"w{number}", 100), number % 2, NOW)
        return [granted(fleet, asks(str(number))).member for number in range(20)]

    assert chosen(1) == chosen(1) != chosen(2)
    assert len(set(chosen(1))) > 8
    fleet = fleet_of(worker("far", 20), worker("near", 20), worker("least", 100))
    fleet.report(worker("far", 20), 2, NOW)
    assert Counter(granted(fleet, asks(str(n))).member for n in range(4))["far"] == 0


def test_shares_are_packed_and_leave_whole_gpus_to_big_tasks() -> None:
    fleet = fleet_of(node("big", 80, 80), node("small", 16), node("two", 24, 24))
    shares = [granted(fleet, asks(f"s{n}", Needs(gpu_memory="5GiB"))) for n in range(3)]
    assert {share.gpus for share in shares} == {("small-0",)}
    assert granted(fleet, asks("4", Needs(gpu_memory="5GiB"))).member == "two"
    assert granted(fleet, asks("whole", Needs(gpus=1))).member == "two"
    assert granted(fleet, asks("pair", Needs(gpus=2))).member == "big"
    refused(fleet, asks("more", Needs(gpus=1)))
    assert fleet.place(asks("5", Needs(gpu_memory="20GiB")), NOW) == Refusal(
        "5", "no member of the fleet has room for it now"
    )


def test_a_node_keeps_its_set_of_whole_gpus_where_another_has_single_ones() -> None:
    fleet = fleet_of(node("four", 24, 24, 24, 24), node("one", 24))
    assert granted(fleet, asks("1", Needs(gpus=1))).member == "one"
    assert granted(fleet, asks("4", Needs(gpus=4))).member == "four"


def test_sessions_and_sick_devices_are_no_room() -> None:
    one = node("n", 16, 16)
    fleet = fleet_of(one)
    sick, sound = idle(one).gpus
    fleet.report(one, replace(idle(one), gpus=(replace(sick, healthy=False), sound)), NOW)
    assert [granted(fleet, asks(str(n), Needs(nvdec=2))).gpus for n in range(2)] == [("n-1",)] * 2
    refused(fleet, asks("3", Needs(nvdec=1)))
    assert fleet.explain(asks("3", Needs(nvdec=1)), NOW) == {"n": "needs 1 gpus, 0 free (1 not answering)"}


def test_what_strangers_use_is_not_granted() -> None:
    one = node("n", 16)
    fleet = fleet_of(one)
    stranger = GpuState(one.gpus[0], taken=10 * GIB, foreign=10 * GIB)
    fleet.report(one, replace(idle(one), gpus=(stranger,)), NOW)
    refused(fleet, asks("1", Needs(gpus=1)))
    refused(fleet, asks("2", Needs(gpu_memory="8GiB")))
    granted(fleet, asks("3", Needs(gpu_memory="6GiB")))


def test_warm_code_then_data_are_preferred_while_loads_are_near() -> None:
    warm = worker("warm", 10, warm=frozenset({"cut"}))
    fleet = fleet_of(warm, worker("cold", 10), worker("data", 10, data=frozenset({"film"})))
    assert [granted(fleet, asks(str(n), task_type="cut")).member for n in range(3)] == ["warm"] * 3
    assert granted(fleet, asks("data", data=frozenset({"film"}))).member == "data"
    fleet.report(worker("data", 10, data=frozenset({"film"})), 9, NOW)
    assert granted(fleet, asks("busy", data=frozenset({"film"}))).member == "cold"
    fleet.report(warm, 10, NOW)
    assert granted(fleet, asks("full", task_type="cut")).member == "cold"


def test_a_member_runs_its_task_types_only() -> None:
    fleet = fleet_of(worker("cuts", 4, task_types=frozenset({"cut"})), worker("any", 1))
    assert granted(fleet, asks("1", task_type="join")).member == "any"
    refused(fleet, asks("2", task_type="join"))
    assert fleet.explain(asks("2", task_type="join"), NOW)["cuts"] == "does not run join"


def test_tags_are_required_preferred_and_forbidden() -> None:
    fleet = fleet_of(worker("x", 4, "x"), worker("xy", 4, "x", "y"), worker("z", 4, "z"))
    fleet.report(worker("xy", 4, "x", "y"), 1, NOW)
    assert granted(fleet, asks("1", required=frozenset({"x"}))).member == "x"
    assert granted(fleet, asks("2", required=frozenset({"x"}), preferred=frozenset({"y"}))).member == "xy"
    assert granted(fleet, asks("3", forbidden=frozenset({"x"}))).member == "z"
    assert refused(fleet, asks("4", Needs(tags={"X"}))).never


def test_a_pin_is_kept_and_pack_fills_the_fullest() -> None:
    fleet = fleet_of(worker("a", 4), worker("b", 4))
    fleet.report(worker("b", 4), 2, NOW)
    assert granted(fleet, asks("1", node="b")).member == "b"
    assert granted(fleet, asks("2", order=Order.PACK)).member == "b"
    assert refused(fleet, asks("3", node="b")) == Refusal("3", "no member of the fleet has room for it now")
    assert fleet.explain(asks("3", node="b"), NOW)["a"] == "the task is pinned to b"
    assert refused(fleet, asks("4", node="moon")).never


def test_alternatives_are_tried_in_their_order_and_the_grant_says_which() -> None:
    fleet = fleet_of(node("gpu", 16), node("cpus", cpus=16))
    needs = Needs(gpu_memory="10GiB"), Needs(cpus=8)
    found = [granted(fleet, asks(str(n), *needs)) for n in range(4)]
    assert [(each.alternative, each.needs) for each in found] == [(0, needs[0]), *[(1, needs[1])] * 3]
    refused(fleet, asks("5", *needs))
    assert (
        fleet.explain(asks("5", *needs), NOW)["cpus"]
        == "needs 1 gpus, has none; or else needs 8 cpus, 0 free"
    )


def test_countable_resources_of_a_node_and_of_the_fleet() -> None:
    fleet = fleet_of(worker("a", 9, resources={"capture": 2}), worker("b", 9), resources={"licence": 2})
    both = {"capture": 1, "licence": 1}
    assert [granted(fleet, asks(str(n), resources=both)).member for n in range(2)] == ["a", "a"]
    assert (
        refused(fleet, asks("3", resources={"licence": 1})).reason == "needs 1 licence, the fleet has 0 free"
    )
    assert refused(fleet, asks("4", resources={"licence": 3})).never
    assert fleet.explain(asks("5", resources={"capture": 1}), NOW) == {
        "a": "needs 1 capture, 0 free",
        "b": "needs 1 capture, has 0",
    }
    fleet.release("0", NOW)
    granted(fleet, asks("3", resources=both))


def test_limits_by_task_type_and_by_label() -> None:
    fleet = fleet_of(worker("a", 9), task_types={"cut": 1}, labels={"camera-7": 2})
    camera = frozenset({"camera-7"})
    granted(fleet, asks("1", task_type="cut", labels=camera))
    assert refused(fleet, asks("2", task_type="cut")).reason == "1 tasks of type cut run, the limit is 1"
    granted(fleet, asks("3", labels=camera))
    assert refused(fleet, asks("4", labels=camera)).reason == "2 tasks of camera-7 run, the limit is 2"
    fleet.release("1", NOW)
    granted(fleet, asks("2", task_type="cut"))


def test_a_reserved_member_is_its_owners_until_the_end() -> None:
    fleet = fleet_of(worker("a", 1), worker("b", 9))
    fleet.apart.reserve(Reservation("weekend", "ann", frozenset({"a", "later"}), after(5)))
    assert granted(fleet, asks("1", owner="bob")).member == "b"
    assert fleet.explain(asks("2", owner="bob"), NOW) == {
        "a": f"is reserved for ann until {after(5).isoformat()}"
    }
    assert granted(fleet, asks("3", owner="ann")).member == "a"
    fleet.report(worker("later", 1), 0, NOW)
    refused(fleet, asks("4", owner="bob", node="later"))
    with pytest.raises(ValueError, match="a is reserved already: weekend"):
        fleet.apart.reserve(Reservation("other", "bob", frozenset({"a"}), after(9)))
    granted(fleet, asks("4", owner="bob", node="later"), after(5))


def test_a_gang_starts_whole_or_not_at_all() -> None:
    fleet = fleet_of(node("n", 16, 16, cpus=2), node("m", cpus=2))
    parts = [asks("cpu", Needs(cpus=2)), asks("gpus", Needs(gpus=2, cpus=2))]
    found = place_all(parts, fleet, NOW)
    assert not isinstance(found, Refusal)
    assert [grant.member for grant in found] == ["m", "n"]
    assert place_all(parts, fleet, NOW) == found
    before = fleet.members(NOW)
    more = [*parts, asks("one more", Needs(cpus=1), lease=timedelta(hours=1))]
    assert isinstance(place_all(more, fleet, NOW), Refusal)
    assert fleet.members(NOW) == before
    fleet.release("gpus", NOW)
    idle_again = fleet.members(NOW)
    assert isinstance(place_all([asks("a", Needs(gpus=1)), asks("b", Needs(gpus=2))], fleet, NOW), Refusal)
    assert fleet.members(NOW) == idle_again
    with pytest.raises(ValueError, match="the same task"):
        place_all([asks("a"), asks("a")], fleet, NOW)
