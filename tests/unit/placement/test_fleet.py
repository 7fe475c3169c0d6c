"""Reports come in, grants go out and end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from skald_work_pools.leases import Lease
from skald_work_pools.needs import Needs
from skald_work_pools.placement.model import Change, Request, State
from tests.unit.placement.members import GIB, NOW, after, asks, fleet_of, granted, idle, node, refused, worker


def test_the_least_loaded_is_chosen_and_counts_at_once() -> None:
    fleet = fleet_of(worker("a", 4), worker("b", 2))
    fleet.report(worker("a", 4), 3, NOW)
    assert [granted(fleet, asks(str(n))).member for n in range(3)] == ["b", "b", "a"]
    assert refused(fleet, asks("4")).never is False


def test_the_same_task_gets_the_grant_that_it_has() -> None:
    fleet = fleet_of(worker("a", 2), worker("b", 2))
    grant = granted(fleet, asks("1"))
    assert fleet.place(asks("1"), after(1)) is grant
    assert sum(one.tasks for one in fleet.members(NOW)) == 1


def test_one_slot_is_granted_once_whatever_heartbeats_say() -> None:
    fleet = fleet_of(worker("a", 1))
    granted(fleet, asks("1"))
    for second in range(5):
        fleet.report(worker("a", 1), 0, after(second))
        refused(fleet, asks("2"), after(second))
    assert fleet.release("1", after(5)) is not None
    granted(fleet, asks("2"), after(5))


def test_tasks_of_others_count_beside_the_grants() -> None:
    fleet = fleet_of(worker("a", 4))
    granted(fleet, asks("1"))
    fleet.report(worker("a", 4), 3, after(1))
    assert fleet.members(after(1))[0].tasks == 3
    fleet.release("1", after(1))
    assert fleet.members(after(1))[0].tasks == 2


def test_a_grant_ends_at_its_time_unless_the_node_has_confirmed_it() -> None:
    one = node("n")
    fleet = fleet_of(one)
    grant = granted(fleet, asks("1", Needs(cpus=8), lease=timedelta(seconds=5)))
    assert grant.expires == after(5)
    refused(fleet, asks("2", Needs(cpus=1)), after(4))
    assert granted(fleet, asks("2", Needs(cpus=8), lease=timedelta(seconds=5)), after(5)).member == "n"
    assert fleet.expire(after(5)) == (grant,)
    lease = Lease("2", Needs(cpus=8), (), after(5))
    fleet.report(one, replace(idle(one), cpus_free=0, leases=(lease,)), after(6))
    assert fleet.expire(after(9)) == ()
    refused(fleet, asks("3", Needs(cpus=1)), after(11))
    ended = fleet.report(one, idle(one), after(12))
    assert [each.task for each in ended] == ["2"]
    granted(fleet, asks("3", Needs(cpus=8)), after(12))


def test_what_a_node_has_confirmed_is_free_when_the_node_says_so() -> None:
    one = node("n", 16)
    fleet = fleet_of(one)
    grant = granted(fleet, asks("1", Needs(gpus=1)))
    busy = replace(idle(one).gpus[0], whole=True, leases=1)
    lease = Lease("1", Needs(gpus=1), grant.gpus, NOW)
    fleet.report(one, replace(idle(one), gpus=(busy,), leases=(lease,)), after(1))
    assert fleet.release("1", after(2)) == grant
    refused(fleet, asks("2", Needs(gpus=1)), after(2))
    fleet.report(one, idle(one), after(3))
    granted(fleet, asks("2", Needs(gpus=1)), after(3))


def test_silence_makes_suspicious_then_offline_then_forgotten() -> None:
    fleet = fleet_of(worker("a"), worker("b"))
    grants = {granted(fleet, asks(str(n), lease=timedelta(hours=1))).member: str(n) for n in range(2)}
    fleet.report(worker("b"), 0, after(9))
    assert fleet.tick(after(9)) == ()
    assert fleet.tick(after(10)) == (Change("a", State.ONLINE, State.SUSPICIOUS),)
    assert granted(fleet, asks("next"), after(10)).member == "b"
    assert fleet.tick(after(18.5)) == ()
    suspicious, offline = fleet.tick(after(20))
    assert suspicious == Change("b", State.ONLINE, State.SUSPICIOUS)
    assert (offline.member, offline.after) == ("a", State.OFFLINE)
    assert [each.task for each in offline.lost] == [grants["a"]]
    lost = {each.member: each.lost for each in fleet.tick(after(30))}
    assert fleet.grant(grants["a"]) is None
    assert [each.task for each in lost["b"]] == [grants["b"], "next"]
    assert {one.state for one in fleet.members(after(31))} == {State.OFFLINE}
    fleet.report(worker("a"), 0, after(40))
    assert granted(fleet, asks("again"), after(40)).member == "a"
    assert [(each.member, each.after) for each in fleet.tick(after(9 + 20 + 3600))][-1] == ("b", None)


def test_silence_is_seen_without_a_tick_too() -> None:
    fleet = fleet_of(worker("a"))
    refused(fleet, asks("1"), after(10))
    fleet.report(worker("a"), 0, after(11))
    granted(fleet, asks("1"), after(11))


def test_a_drained_member_is_given_nothing_and_comes_back() -> None:
    fleet = fleet_of(worker("a", drained=True))
    assert refused(fleet, asks("1")).never is False
    assert fleet.explain(asks("1"), NOW) == {"a": "is drained"}
    fleet.report(worker("a"), 0, NOW)
    granted(fleet, asks("1"))


def test_a_removed_member_takes_its_grants_with_it() -> None:
    fleet = fleet_of(worker("a"), worker("b", 1, "x"))
    grant = granted(fleet, asks("1", required=frozenset({"x"})))
    assert fleet.remove("b") == (grant,)
    assert fleet.remove("b") == ()
    assert refused(fleet, asks("1", required=frozenset({"x"}))).never
    fleet.report(worker("c", 1, "x"), 0, NOW)
    assert granted(fleet, asks("1", required=frozenset({"x"}))).member == "c"


def test_a_member_that_changes_is_found_as_it_is() -> None:
    fleet = fleet_of(worker("a", 2, "x"))
    granted(fleet, asks("1", required=frozenset({"x"})))
    fleet.report(worker("a", 2, "y"), 0, NOW)
    assert refused(fleet, asks("2", required=frozenset({"x"}))).never
    granted(fleet, asks("2", required=frozenset({"y"})))
    refused(fleet, asks("3", required=frozenset({"y"})))


def test_what_could_never_be_is_said_at_once_and_per_member() -> None:
    fleet = fleet_of(worker("w", 4, "x"), node("n", 16), worker("none", 0))
    request = asks("1", Needs(gpu_memory="20GiB"), forbidden=frozenset({"x"}))
    assert refused(fleet, request).never
    assert fleet.explain(request, NOW) == {
        "w": "needs 1 gpus, has none",
        "n": "needs 1 gpus with 20 GiB free, has none of that kind",
        "none": "needs 1 gpus, has none",
    }
    assert fleet.explain(asks("2", forbidden=frozenset({"x"})), NOW) == {
        "w": "has what is forbidden: x",
        "none": "runs no tasks, its limit is 0",
    }


def test_the_reason_is_what_is_missing_now() -> None:
    one = node("n", 16, cpus=4)
    fleet = fleet_of(one)
    granted(fleet, asks("1", Needs(cpus=3, gpu_memory="10GiB", memory=30 * GIB)))
    for needs, reason in (
        (Needs(cpus=2), "needs 2 cpus, 1 free"),
        (Needs(memory="4GiB"), f"needs {4 * GIB:,} bytes of memory, {2 * GIB:,} free"),
        (Needs(gpu_memory="8GiB"), "needs 1 gpus, 0 free"),
    ):
        assert fleet.explain(asks("2", needs), NOW) == {"n": reason}
        refused(fleet, asks("2", needs))


def test_a_request_out_of_range_is_refused_as_a_value_error() -> None:
    with pytest.raises(ValueError, match="the priority is 11; it goes from 0 to 10"):
        Request("1", priority=11)
    with pytest.raises(ValueError, match="at least one alternative"):
        Request("1", alternatives=())
