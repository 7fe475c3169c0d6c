"""Who follows the fleet's page: at most one frame a second, and no questions while nobody looks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from skald_bridge.adapters.sqlite import SqliteArchive
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.api import fleet_watch
from skald_bridge.api.backend import Backend
from skald_bridge.api.fleet_watch import FleetWatch
from skald_bridge.api.watch import Watch
from skald_bridge.domain import facts
from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.facts import Node, Task
from skald_bridge.domain.ids import NodeId, StateId, TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.queue import Holding, QueuePage
from skald_work_pools.devices import Capacity
from skald_work_pools.needs import Needs
from skald_work_pools.placement.model import Member, Standing, State
from tests.contract.records import AT, document, task_id
from tests.unit.api.test_stream import blocks

N1 = Node(NodeId("n1"), "cpu", True, AT, {"cpus": 4})


@dataclass
class Engine:
    held: list[Holding] = field(default_factory=list)
    asked: int = 0
    away: bool = False

    async def queue(self, **_wanted: Any) -> QueuePage:
        self.asked += 1
        if self.away:
            raise Unavailable("Prefect does not answer")
        return QueuePage((), 0, 0)

    async def at_work(self) -> list[Holding]:
        return self.held


@dataclass
class World:
    archive: SqliteArchive
    engine: Engine = field(default_factory=Engine)
    at: datetime = AT
    memory: dict[TaskId, Any] = field(default_factory=dict)
    members: list[Standing] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.beat = SimpleNamespace(nodes=[N1])
        self.workers = SimpleNamespace(standings=self.standings, requests=lambda most: [], size=0, waiting=0)
        bridge = SimpleNamespace(
            heartbeats=self.beat,
            mirror=SimpleNamespace(memory=self.memory),
            fleet=self.workers,
        )
        made: Any = SimpleNamespace(archive=self.archive, engine=self.engine, bridge=bridge, clock=self)
        self.watch = Watch(cast(Backend, made), most=1)
        self.fleet = FleetWatch(cast(Backend, made), self.watch.seats, period=0.0, linger=0.0)

    def now(self) -> datetime:
        return self.at

    def standings(self, most: int) -> list[Standing]:
        return self.members[:most]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with SqliteFile(tmp_path / "journal.db", write=True) as file:
        yield World(SqliteArchive(file))


def held(node: str | None) -> Holding:
    state = facts.State(StateId("s"), StateType.RUNNING, "Running", AT)
    task = Task(task_id(), "fox", "Job", state, AT, pool="cpu", node=NodeId(node) if node else None)
    return Holding(task, Needs(cpus=1))


async def frame(events: AsyncIterator[str]) -> dict[str, Any]:
    """The next one."""
    async with asyncio.timeout(5):
        while True:
            for block in blocks(await anext(events)):
                if "data" in block:
                    found: dict[str, Any] = json.loads(block["data"])
                    return found


async def test_first_all_of_it_then_what_changed(world: World) -> None:
    with world.fleet.following():
        await world.fleet.step()
        async with aclosing(world.fleet.stream.follow(world.fleet.snapshot)) as events:
            first = await frame(events)
            assert first["whole"] and list(first["nodes"]) == ["node/cpu/n1"]
            await world.fleet.step()
            # Nothing was published meanwhile: the next frame is of what happens now.
            world.beat.nodes = [N1, Node(NodeId("n2"), "cpu", True, AT)]
            await world.fleet.step()
            assert list((await frame(events))["nodes"]) == ["node/cpu/n2"]
            world.beat.nodes = [N1]
            await world.fleet.step()
            assert (await frame(events))["nodes"] == {"node/cpu/n2": None}


async def test_workers_change_without_a_word(world: World) -> None:
    member = Member("w1", Capacity(0, 0, limit=4))
    world.members, world.workers.size = [Standing(member, State.ONLINE, AT, 1, 0.25, ())], 1
    with world.fleet.following():
        await world.fleet.step()
        async with aclosing(world.fleet.stream.follow(world.fleet.snapshot)) as events:
            assert (await frame(events))["nodes"]["worker/w1"]["taskCount"] == 1
            world.members = [Standing(member, State.ONLINE, AT, 2, 0.5, ())]
            await world.fleet.step()
            changed = await frame(events)
            assert list(changed["nodes"]) == ["worker/w1"] and changed["totals"]["atWork"] == 2


async def test_a_task_is_on_the_node_that_claimed_it_before_its_label_says_so(world: World) -> None:
    task = held(None)
    world.engine.held = [task]
    world.memory[task.task.id] = SimpleNamespace(last=SimpleNamespace(node=NodeId("n1")))
    with world.fleet.following():
        await world.fleet.step()
        ((_, data),) = world.fleet.snapshot()
    tile = json.loads(data)["nodes"]["node/cpu/n1"]
    assert [each["name"] for each in tile["tasks"]] == ["fox"] and tile["cpus"]["taken"] == 1.0


async def test_prefect_is_asked_seldom_and_not_at_all_without_followers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_watch, "AGAIN", 1000.0)
    assert await world.fleet.step() > 60
    assert world.engine.asked == 0
    with world.fleet.following():
        for _ in range(20):
            await world.archive.put([document(task_id(), 1, StateType.SCHEDULED)])
            await world.fleet.step()
        assert world.engine.asked == 1, "writes alone make it ask no more often"
        monkeypatch.setattr(fleet_watch, "AGAIN", 0.0)
        await world.fleet.step()
        assert world.engine.asked == 2, "something was written since"
        await world.fleet.step()
        assert world.engine.asked == 2, "nothing was written since"
    await asyncio.sleep(0.001)
    assert await world.fleet.step() > 60
    assert list(world.fleet.snapshot()) == []


async def test_what_hurries_it_makes_no_more_frames(world: World) -> None:
    world.fleet = FleetWatch(world.fleet._backend, world.watch.seats, period=1000.0)
    with world.fleet.following():
        assert await world.fleet.step() == 1000.0
        world.beat.nodes = [N1, Node(NodeId("n2"), "cpu", True, AT)]
        assert 0 < await world.fleet.step() <= 1000.0
        ((_, data),) = world.fleet.snapshot()
        assert list(json.loads(data)["nodes"]) == ["node/cpu/n1"]


async def test_while_prefect_is_away_the_last_is_shown_and_said_to_be_old(world: World) -> None:
    world.engine.held = [held("n1")]
    world.engine.away = True
    with world.fleet.following():
        await world.fleet.step()
        ((_, data),) = world.fleet.snapshot()
        assert json.loads(data)["problem"] == "Prefect does not answer"
        assert list(json.loads(data)["nodes"]) == ["node/cpu/n1"]


async def test_its_followers_take_the_seats_of_all_event_streams(world: World) -> None:
    with world.fleet.following():
        assert world.watch.clients == 1
        with pytest.raises(Unavailable):
            world.fleet.seats.check_room()
        with pytest.raises(Unavailable), world.watch.following():
            pass
    assert world.watch.clients == 0
