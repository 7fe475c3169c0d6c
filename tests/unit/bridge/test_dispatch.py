"""Which runs are offered to which nodes, and what becomes of an offer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skald_bridge.domain.dispatch import Gate, Queue, hindrance, may_offer, requests
from skald_work_pools.link.frames import LARGEST, encode
from skald_work_pools.link.messages import Offer
from skald_work_pools.needs import Needs
from tests.unit.bridge.links import GATE, POOL, World, born

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, None),
        ({"state": {"type": "SCHEDULED", "name": "Held"}}, "wait for a node"),
        ({"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}}, "wait for a node"),
        ({"state": {"type": "RUNNING", "name": "Running"}}, "wait for a node"),
        ({"state": None}, "wait for a node"),
        ({"run_count": 1}, "started before"),
        ({"gate": Gate(POOL, paused=True, queues={"default": Queue()})}, "paused"),
        ({"gate": Gate(POOL, queues={"default": Queue(paused=True)})}, "paused"),
        ({"gate": Gate(POOL, limited=True, queues={"default": Queue()})}, "limit"),
        ({"gate": Gate(POOL, queues={"default": Queue(limited=True)})}, "limit"),
        ({"gate": Gate(POOL, queues={"default": Queue(), "b": Queue(limited=True, paused=True)})}, None),
        ({"limited": True}, "limit"),
        ({"queue": "unheard"}, "not known"),
    ],
)
async def test_what_prefect_itself_holds_back_is_not_offered(more, reason, world: World):
    found = hindrance(born("a", **more))
    assert (found is None) == (reason is None) and (reason or "") in (found or "")
    node = world.node("n")
    world.born("a", **more)
    assert node.offers == ([] if reason else ["a"])
    assert world.outcomes == ({"held": 1} if reason else {})


@pytest.mark.parametrize(
    ("seconds", "expected", "linked", "may"),
    [
        (0, None, {"cpu/a"}, False),
        (0, set(), {"cpu/a"}, False),
        (0, {"cpu/a"}, set(), False),
        (0, {"cpu/a", "cpu/b"}, {"cpu/a"}, False),
        (0, {"cpu/a"}, {"cpu/a", "cpu/b"}, True),
        (4.9, None, {"cpu/a"}, False),
        (5, None, set(), True),
        (5, {"cpu/a", "cpu/b"}, {"cpu/a"}, True),
    ],
)
async def test_a_bridge_that_has_begun_waits_for_its_nodes(seconds, expected, linked, may):
    assert may_offer(NOW + timedelta(seconds=seconds), NOW, expected, linked) is may


async def test_until_then_runs_are_left_to_be_found():
    world = World(seconds=0)
    world.linked.dispatch.expected = lambda: {"cpu/n", "cpu/m"}
    node = world.node("n", limit=9)
    world.born("a")
    assert node.offers == [] and world.outcomes == {"early": 1}
    world.node("m", limit=1)
    world.later(0.1)
    world.born("b")
    assert sum(world.outcomes.values()) == 1
    world.linked.dispatch.expected = lambda: {"cpu/a third"}
    world.born("c")
    assert sum(world.outcomes.values()) == 1, "once is enough"


async def test_needs_are_the_task_types_own_under_the_job_variables():
    [first, second] = requests(born("a", variables={"cpus": 2}), {"cpus": 1, "memory": "1GiB"}, [])
    assert first.alternatives == second.alternatives == (Needs(cpus=2, memory=2**30),)
    assert requests(born("a", variables={"cpus": "many"}), {}, []) == ()
    assert requests(born("a"), {"gpus": -1}, []) == ()


async def test_a_run_is_offered_as_prefect_told_it(world: World):
    node = world.node("n")
    run = {"id": "a", "state": {"type": "SCHEDULED", "name": "Scheduled"}, "parameters": {"x": [1]}}
    world.born("a", run=run)
    assert node.link.sent == [Offer("a", POOL, "default", run)]


async def test_a_run_goes_to_a_node_that_has_its_code_and_room_for_it(world: World):
    small = world.node("small", needs={"resize": {"cpus": 3}}, limit=2)
    world.node("elsewhere", pool="another pool", limit=9)
    world.born("a")
    small.take("a", Needs(cpus=3))
    small.say(free=type(small.report.free)(1, 2**30, 1))
    world.born("b")
    world.born("c", class_name="transcode")
    assert small.offers == ["a"] and world.outcomes == {"taken": 1, "unplaced": 2}
    small.say(leases=(), free=type(small.report.free)(4, 2**30, 2))
    world.born("d")
    assert small.offers == ["a", "d"]


async def test_nodes_that_serve_a_queue_alone_come_first_and_get_no_other(world: World):
    only = world.node("only", queues=frozenset({"other"}))
    every = world.node("every")
    world.born("a", queue="other")
    world.born("b", queue="other")
    world.born("c", queue="default")
    assert (only.offers, every.offers, world.outcomes) == (["a"], ["b"], {"unplaced": 1})


async def test_several_offers_to_a_node_go_in_order(world: World):
    node = world.node("n", limit=20)
    names = [f"run-{number}" for number in range(20)]
    for name in names:
        world.born(name)
    assert node.offers == names


async def test_a_refusal_names_the_next_node_three_times_at_most(world: World):
    nodes = [world.node(name) for name in "abcd"]
    world.born("r")
    asked = []
    for _ in range(3):
        [node] = [each for each in nodes if each.offers and each not in asked]
        asked.append(node)
        node.refuse("r")
    assert len(asked) == 3 and sum(len(node.offers) for node in nodes) == 3
    assert world.outcomes == {"refused": 3, "unplaced": 1}
    for node in nodes:
        world.born(f"after-{node.name}")
    assert sorted(len(node.offers) for node in nodes) == [1, 2, 2, 2], "nobody's place is kept for it"


async def test_a_run_is_offered_once(world: World):
    node = world.node("n", limit=5)
    world.born("a")
    world.born("a")
    node.take("a")
    world.born("a")
    assert node.offers == ["a"] and world.outcomes == {"taken": 1}


async def test_an_offer_that_is_not_answered_goes_to_the_next(world: World):
    first, second = world.node("a"), world.node("b")
    world.born("r")
    silent, other = (first, second) if first.offers else (second, first)
    world.later(1.9)
    assert await world.linked.dispatch.step() < 1 and other.offers == []
    world.later(0.2)
    await world.linked.dispatch.step()
    assert other.offers == ["r"] and world.outcomes == {"lost": 1}
    silent.refuse("r")
    assert world.outcomes == {"lost": 1}, "too late"
    other.take("r")
    assert world.outcomes == {"lost": 1, "taken": 1}
    assert await world.linked.dispatch.step() > 60


async def test_when_a_link_is_cut_its_offers_go_to_the_next_node_at_once(world: World):
    nodes = [world.node("a", limit=3), world.node("b", limit=3)]
    for name in ("r", "s", "t"):
        world.born(name)
    cut, left = nodes if nodes[0].offers else nodes[::-1]
    before, lost = list(left.offers), list(cut.offers)
    cut.cut()
    assert left.offers == [*before, *lost][:3]
    assert world.outcomes["lost"] == len(lost)


async def test_what_has_been_found_meanwhile_is_offered_to_nobody_else(world: World):
    nodes = [world.node("a"), world.node("b")]
    world.born("r", task="t")
    world.linked.dispatch.waits = lambda task: task != "t"
    for node in nodes:
        node.refuse("r")
    assert sum(len(node.offers) for node in nodes) == 1 and world.outcomes == {"refused": 1}


async def test_a_link_that_takes_nothing_more_is_passed_over(world: World):
    node, other = world.node("a"), world.node("b")
    node.link.full = True
    world.born("r")
    world.born("s")
    assert node.offers == [] and other.offers == ["r"] and world.outcomes == {"unplaced": 1}


async def test_a_run_that_is_too_large_for_a_frame_is_left_to_be_found(world: World, monkeypatch):
    node = world.node("a")
    monkeypatch.setattr(node.link, "send", encode)
    world.born("r", run={"id": "r", "state": {"type": "SCHEDULED", "name": "Scheduled"}, "x": "y" * LARGEST})
    assert world.outcomes == {"unplaced": 1}


async def test_runs_that_wait_at_a_node_come_before_any_offer(world: World):
    node = world.node("a", limit=5)
    node.say(waiting=True)
    world.born("r")
    node.say(waiting=False)
    world.born("s")
    node.say(draining=True)
    world.born("t")
    assert node.offers == ["s"]


async def test_no_node_no_births(world: World):
    assert not world.linked.dispatch.wants("cpu")
    node = world.node("a")
    assert world.linked.dispatch.wants("cpu") and not world.linked.dispatch.wants("gpu")
    node.cut()
    assert not world.linked.dispatch.wants("cpu")
    assert GATE.pool_id == POOL


steps = st.lists(
    st.tuples(st.sampled_from("btrcnw"), st.integers(0, 3)),
    max_size=40,
)


@settings(max_examples=80, deadline=None)
@given(steps)
async def test_whatever_happens_no_run_is_at_two_nodes_by_offers_nor_a_node_overfull(steps):
    world, names, count = World(), "abcd", 0
    nodes = {name: world.node(name, limit=2) for name in names}
    taken: dict[str, str] = {}
    for what, place in steps:
        name = names[place]
        node = nodes[name]
        open_ = [run for run in node.offers if run not in taken and world.linked.dispatch._open.get(run)]
        open_ = [run for run in open_ if world.linked.dispatch._open[run].member == node.key]
        if what == "b":
            count += 1
            world.born(f"run-{count}")
        elif what == "t" and open_:
            assert open_[0] not in taken
            taken[open_[0]] = name
            node.take(open_[0])
        elif what == "r" and open_:
            node.refuse(open_[0])
        elif what == "c":
            node.cut()
            nodes[name] = world.node(name, limit=2)
        elif what == "n" and (mine := [lease.run_id for lease in node.report.leases]):
            node.end(mine[0])
        elif what == "w":
            world.later(1)
            await world.linked.dispatch.step()
        for each in nodes.values():
            at_it = [r for r, o in world.linked.dispatch._open.items() if o.member == each.key]
            assert len(at_it) + len(each.report.leases) <= 2
    world.later(3)
    for _ in range(4):
        await world.linked.dispatch.step()
        world.later(3)
    assert not world.linked.dispatch._open
    done = world.outcomes
    assert done.get("taken", 0) + done.get("unplaced", 0) + done.get("early", 0) == count
