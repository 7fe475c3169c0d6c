"""Who is next, who holds a member, and who may pass."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from skald_work_pools.needs import Needs
from skald_work_pools.placement.fleet import Fleet
from skald_work_pools.placement.model import Grant, Refusal, Request, Waiting
from skald_work_pools.placement.queue import Queue, QueueSettings
from tests.unit.placement.members import NOW, after, asks, fleet_of, granted, node, worker

MINUTE = timedelta(minutes=1)


def queue_of(fleet: Fleet, **settings: Any) -> Queue:
    return Queue(fleet, QueueSettings(aging=timedelta(seconds=10), **settings))


def waits(queue: Queue, request: Request, at: float = 0) -> Waiting:
    answer = queue.submit(request, after(at))
    assert isinstance(answer, Waiting), answer
    return answer


def starts(queue: Queue, request: Request, at: float = 0) -> Grant:
    answer = queue.submit(request, after(at))
    assert isinstance(answer, Grant), answer
    return answer


def pumped(queue: Queue, at: float = 0) -> list[str]:
    return [answer.task for answer in queue.pump(after(at))]


def order(queue: Queue) -> list[str]:
    return [each.request.task for each in queue.waiting()]


def test_priority_goes_first_then_age_and_age_overtakes_priority() -> None:
    fleet = fleet_of(worker("a", 1))
    queue = queue_of(fleet)
    starts(queue, asks("running"))
    for task, priority, at in (("old", 0, 1), ("older", 0, 0.5), ("high", 1, 2), ("late", 1, 12)):
        waits(queue, asks(task, priority=priority), at)
    assert order(queue) == ["high", "older", "old", "late"]
    assert queue.reprioritise("late", 9)
    assert not queue.reprioritise("nobody", 9)
    assert order(queue)[0] == "late"
    fleet.report(worker("a", 1), 0, after(9))
    fleet.release("running", after(12))
    assert pumped(queue, 12) == ["late"]
    assert queue.withdraw("high")
    assert not queue.withdraw("high")
    fleet.release("late", after(13))
    assert pumped(queue, 13) == ["older"]


def test_a_task_is_answered_as_it_stands() -> None:
    fleet = fleet_of(worker("a", 1))
    queue = queue_of(fleet)
    grant = starts(queue, asks("1"))
    assert queue.submit(asks("1"), after(1)) == grant
    assert waits(queue, asks("2"), 1) == waits(queue, asks("2"), 5)
    assert waits(queue, asks("2")).reason == "no member of the fleet has room for it now"


def test_who_starts_while_another_is_submitted_is_told_by_the_next_pump() -> None:
    fleet = fleet_of(worker("a", 1))
    queue = queue_of(fleet)
    starts(queue, asks("1"))
    waits(queue, asks("2"))
    fleet.release("1", NOW)
    waits(queue, asks("3"))
    assert pumped(queue) == ["2"]
    assert pumped(queue) == []


def test_what_could_never_be_placed_is_refused_and_holds_up_nobody() -> None:
    fleet = fleet_of(worker("a", 2), worker("x", 1, "x"))
    queue = queue_of(fleet)
    never = queue.submit(asks("never", Needs(gpus=1), priority=10), NOW)
    assert isinstance(never, Refusal)
    assert never.never
    starts(queue, asks("1", required=frozenset({"x"})))
    waits(queue, asks("2", required=frozenset({"x"}), priority=10))
    fleet.remove("x")
    assert pumped(queue) == []
    assert queue.waiting()[0].hold is None
    assert starts(queue, asks("3")).member == "a"


def test_a_deadline_ends_the_wait() -> None:
    fleet = fleet_of(worker("a", 1))
    queue = queue_of(fleet)
    starts(queue, asks("1"))
    waits(queue, asks("2", deadline=after(5)))
    assert queue.pump(after(5)) == ()
    assert queue.pump(after(6)) == (Refusal("2", "its deadline has passed"),)
    assert queue.waiting() == []


def test_a_waiting_big_task_holds_a_node_and_small_ones_do_not_exchange_it() -> None:
    """A node held for a big task is not exchanged because small ones filled its remainder."""
    fleet = fleet_of(node("four", 24, 24, 24, 24, cpus=16), node("also", 24, 24, 24, 24, cpus=16))
    queue = queue_of(fleet)
    for number in range(8):
        starts(queue, asks(f"g{number}", Needs(gpus=1), duration=(10 + number) * MINUTE, lease=60 * MINUTE))
    held = waits(queue, asks("big", Needs(gpus=4, cpus=2))).hold
    assert held is not None
    for number in range(14):
        answer = queue.submit(asks(f"c{number}", Needs(cpus=1), node=held.member), after(number / 10))
        assert isinstance(answer, Grant), number
    assert isinstance(queue.submit(asks("c14", Needs(cpus=1), node=held.member), after(3)), Waiting)
    assert queue.waiting()[0].hold == held
    ours = [f"g{number}" for number in range(8) if fleet.grant(f"g{number}").member == held.member]
    for task in ours:
        assert "big" not in pumped(queue, 4)
        assert isinstance(queue.submit(asks(f"after {task}", Needs(gpus=1)), after(4)), Waiting)
        fleet.release(task, after(4))
    assert "big" in pumped(queue, 4)
    assert fleet.grant("big").member == held.member


def test_backfill_never_delays_the_start_that_is_expected() -> None:
    fleet = fleet_of(node("n", 24, 24, cpus=16))
    queue = queue_of(fleet)
    starts(queue, asks("g", Needs(gpus=1), duration=timedelta(seconds=9)))
    hold = waits(queue, asks("big", Needs(gpus=2))).hold
    assert hold.expected == after(9)
    waits(queue, asks("long", Needs(gpus=1), duration=timedelta(seconds=8)), 2)
    waits(queue, asks("unknown", Needs(gpus=1)), 2)
    starts(queue, asks("short", Needs(gpus=1), duration=timedelta(seconds=7)), 2)
    fleet.report(node("n", 24, 24, cpus=16), 2, after(9))
    fleet.release("short", after(9))
    assert pumped(queue, 9) == []
    fleet.release("g", after(9))
    assert pumped(queue, 9) == ["big"]


def test_a_hold_keeps_back_nothing_that_its_task_cannot_use() -> None:
    fleet = fleet_of(node("n", 24, 8, cpus=4, memory=4 * 2**30))
    queue = queue_of(fleet)
    starts(queue, asks("g", Needs(gpu_memory="20GiB")))
    assert waits(queue, asks("big", Needs(gpu_memory="22GiB", cpus=3))).hold is not None
    starts(queue, asks("cpu", Needs(cpus=1)))
    starts(queue, asks("gpu that it cannot use", Needs(gpu_memory="8GiB")))
    starts(queue, asks("memory", Needs(memory="4GiB")))
    waits(queue, asks("its cpus", Needs(cpus=1)))
    waits(queue, asks("its gpu", Needs(gpu_memory="3GiB")))


def test_a_held_member_is_kept_from_those_who_do_not_queue_too() -> None:
    fleet = fleet_of(worker("a", 2))
    queue = queue_of(fleet)
    granted(fleet, asks("other", resources={}))
    starts(queue, asks("1"))
    hold = waits(queue, asks("2")).hold
    fleet.release("1", NOW)
    assert isinstance(fleet.place(asks("direct"), NOW), Refusal)
    assert fleet.explain(asks("direct"), NOW) == {hold.member: "is held for task 2, of priority 0"}
    assert pumped(queue) == ["2"]


def test_a_task_that_comes_first_passes_the_hold_of_one_behind() -> None:
    fleet = fleet_of(node("n", 24, 24))
    queue = queue_of(fleet)
    starts(queue, asks("g", Needs(gpus=1)))
    waits(queue, asks("big", Needs(gpus=2)))
    waits(queue, asks("same age", Needs(gpus=1)), 1)
    starts(queue, asks("first", Needs(gpus=1), priority=5), 2)


def test_a_task_that_waits_for_a_limit_holds_nothing() -> None:
    fleet = fleet_of(worker("a", 4), labels={"camera": 1})
    queue = queue_of(fleet)
    camera = frozenset({"camera"})
    starts(queue, asks("1", labels=camera))
    waiting = waits(queue, asks("2", labels=camera, priority=10))
    assert (waiting.hold, waiting.reason) == (None, "1 tasks of camera run, the limit is 1")
    for number in range(3):
        starts(queue, asks(f"other {number}"))
    fleet.release("1", NOW)
    assert pumped(queue) == ["2"]


def test_a_hold_moves_when_its_member_is_gone() -> None:
    fleet = fleet_of(worker("a", 1), worker("b", 1))
    queue = queue_of(fleet)
    for number in range(2):
        starts(queue, asks(f"{number}", duration=(number + 1) * timedelta(seconds=5)))
    hold = waits(queue, asks("next")).hold
    assert hold.member == fleet.grant("0").member
    fleet.remove(hold.member)
    queue.pump(NOW)
    assert {hold.member, queue.waiting()[0].hold.member} == {"a", "b"}


def test_owners_share_by_weight() -> None:
    fleet = fleet_of(worker("a", 30))
    queue = queue_of(fleet, share=timedelta(hours=1), weights={"ann": 2.0})
    fleet.report(worker("a", 30), 30, NOW)
    for number in range(40):
        waits(queue, asks(f"ann-{number}", owner="ann"), number / 100)
        waits(queue, asks(f"bob-{number}", owner="bob"), number / 100)
    fleet.report(worker("a", 30), 0, after(1))
    owners = [task.split("-")[0] for task in pumped(queue, 1)]
    assert (owners.count("ann"), owners.count("bob")) == (20, 10)


def test_who_waits_longest_starts_at_last_whatever_comes_after() -> None:
    fleet = fleet_of(node("n", 24, 24))
    queue = queue_of(fleet)
    running = [starts(queue, asks("r", Needs(gpus=1))).task]
    waits(queue, asks("big", Needs(gpus=2)))
    for second in range(1, 200):
        fleet.report(node("n", 24, 24), 0, after(second))
        if len(running) > 1 or second % 3 == 0:
            fleet.release(running.pop(0), after(second))
        queue.submit(asks(f"s{second}", Needs(gpus=1), priority=10), after(second))
        queue.pump(after(second))
        running = [grant.task for grant in fleet.grants()]
        if "big" in running:
            break
    assert "big" in running
