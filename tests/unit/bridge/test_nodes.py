"""Nodes that hold a link: what they say, and what their silence says."""

from __future__ import annotations

import pytest

from skald_bridge.services.nodes import Nodes
from skald_work_pools.link.messages import Changes
from skald_work_pools.placement.model import State
from tests.unit.bridge.links import FakeLink, World


@pytest.fixture
def world() -> World:
    return World()


def states(world: World) -> list[State]:
    return [standing.state for standing in world.linked.nodes.standings()]


async def test_a_node_that_says_hello_is_a_member_with_its_leases(world: World):
    node = world.node("a", limit=3)
    node.take("r")
    [standing] = world.linked.nodes.standings()
    assert (standing.state, standing.tasks) == (State.ONLINE, 1)
    assert standing.member.task_types == {"resize"}
    assert world.linked.nodes.linked() == {"cpu/a"}
    assert world.linked.nodes.name(node.key) == "a"


async def test_a_closed_link_is_seen_at_once(world: World):
    node = world.node("a")
    node.cut()
    assert states(world) == [] and world.linked.nodes.linked() == set()
    node.alive()
    assert states(world) == [], "what it said before is heard too late"


async def test_silence_is_suspicious_first_then_the_node_is_offline(world: World):
    node, other = world.node("a"), world.node("b")
    nodes = world.linked.nodes
    assert await nodes.step() < 2
    world.later(9)
    other.alive()
    await nodes.step()
    assert states(world) == [State.ONLINE, State.ONLINE]
    world.later(1.5)
    await nodes.step()
    assert states(world) == [State.SUSPICIOUS, State.ONLINE] and world.linked.nodes.linked() == {
        "cpu/a",
        "cpu/b",
    }
    world.later(8)
    other.alive()
    node.alive()
    await nodes.step()
    assert states(world) == [State.ONLINE, State.ONLINE]
    world.later(11)
    await nodes.step()
    other.alive()
    world.later(9.5)
    await nodes.step()
    assert nodes.linked() == {"cpu/b"} and node.link.closed == "the node is silent"


async def test_without_nodes_there_is_nothing_to_look_at(world: World):
    assert await world.linked.nodes.step() > 60


async def test_a_node_that_comes_back_has_one_link(world: World):
    before = world.node("a", limit=2)
    gone: list[str] = []
    world.linked.nodes.gone = gone.append
    after = world.node("a", limit=2)
    assert before.link.closed and gone == [after.key]
    before.cut()
    before.say(draining=True)
    assert states(world) == [State.ONLINE], "its old link says nothing any more"
    after.say(draining=True)
    assert states(world) == [State.DRAINED]
    assert world.linked.nodes.serves("cpu")
    after.cut()
    assert not world.linked.nodes.serves("cpu")


async def test_who_is_not_there_is_told_nothing(world: World):
    nodes: Nodes = world.linked.nodes
    nodes.hear("nobody", FakeLink(), Changes())
    nodes.leave("nobody", FakeLink())
    assert nodes.name("nobody") == "that has gone"
