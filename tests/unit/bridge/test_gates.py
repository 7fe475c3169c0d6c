"""What is known of a pool when a run is born on it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from skald_bridge.adapters.prefect_gates import KNOWN_FOR, Newborn, PoolGates
from skald_bridge.domain.dispatch import Born, Gate, Queue
from skald_bridge.domain.errors import Unavailable
from tests.services.poll import auntil


class Prefect:
    """Counts the questions; ``away`` answers none, ``gate`` holds the answers back."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.pool: dict[str, Any] = {"id": "pool-id", "is_paused": False, "concurrency_limit": None}
        self.queues = [{"name": "default", "is_paused": False, "concurrency_limit": None}]

    async def call(self, method: str, path: str) -> dict[str, Any]:
        assert (method, path) == ("GET", "/work_pools/a%2Fb")
        self.asked += 1
        found = dict(self.pool)
        await self.gate.wait()
        if self.away:
            raise Unavailable("away")
        return found

    async def pages(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        assert (path, body) == ("/work_pools/a%2Fb/queues/filter", {})
        return list(self.queues)


class World:
    def __init__(self) -> None:
        self.prefect, self.heard, self.time = Prefect(), list[Born](), 0.0
        self.wanted = True
        self.gates: Any = PoolGates(self.prefect, self, lambda: self.time)

    def wants(self, pool: str) -> bool:
        return self.wanted and pool == "a/b"

    def born(self, born: Born) -> None:
        self.heard.append(born)

    def birth(self, name: str, queue: str = "default", run: Any = None, **deployment: Any) -> None:
        self.gates.born(
            Newborn(
                {"id": name, "work_queue_name": queue, **(run or {})},
                {"work_pool_name": "a/b", **deployment},
                "resize",
                3,
                f"task-{name}",
            )
        )

    async def hears(self, *names: str) -> None:
        async def all_heard() -> bool:
            return len(self.heard) >= len(names)

        await auntil(all_heard, 10, "births")
        assert [born.run_id for born in self.heard] == list(names)


@pytest.fixture
def world() -> World:
    return World()


async def test_what_is_known_is_told_at_once_and_asked_for_once(world: World):
    world.birth("a", variables=None, job_variables={"cpus": 1, "gpus": 1}, run={"job_variables": {"cpus": 2}})
    world.birth("b")
    assert world.heard == [], "nobody waits for the answer"
    await world.hears("a", "b")
    world.birth("c", global_concurrency_limit={"limit": 1})
    await world.hears("a", "b", "c")
    assert world.prefect.asked == 1
    a, _, c = world.heard
    assert a.gate == Gate("pool-id", queues={"default": Queue()}) and not a.limited and c.limited
    assert (a.class_name, a.pool, a.queue, a.priority, a.task) == ("resize", "a/b", "default", 3, "task-a")
    assert a.variables == {"cpus": 2, "gpus": 1}


async def test_pauses_and_limits_are_told(world: World):
    world.prefect.pool |= {"is_paused": True, "concurrency_limit": 0}
    world.prefect.queues.append({"name": "q", "is_paused": True, "concurrency_limit": 2})
    world.birth("a")
    await world.hears("a")
    queues = {"default": Queue(), "q": Queue(paused=True, limited=True)}
    assert world.heard[0].gate == Gate("pool-id", paused=True, limited=True, queues=queues)


@pytest.mark.parametrize("why", ["an event", "time", "a new queue"])
async def test_what_may_have_changed_is_asked_for_again(world: World, why: str):
    world.birth("a")
    await world.hears("a")
    if why == "an event":
        world.gates.forget()
    elif why == "time":
        world.time = KNOWN_FOR
    else:
        world.prefect.queues.append({"name": "new", "is_paused": False, "concurrency_limit": None})
    world.birth("b", "new" if why == "a new queue" else "default")
    assert len(world.heard) == 1
    await world.hears("a", "b")
    assert world.prefect.asked == 2


async def test_an_answer_that_an_event_has_overtaken_is_not_kept(world: World):
    world.prefect.gate.clear()
    world.birth("a")
    while not world.prefect.asked:
        await asyncio.sleep(0)
    world.gates.forget()
    world.prefect.gate.set()
    await world.hears("a")
    world.birth("b")
    await world.hears("a", "b")
    assert world.prefect.asked == 2


async def test_while_prefect_is_away_nothing_is_told(world: World):
    world.prefect.away = True
    world.birth("a")
    while not world.prefect.asked:
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    world.prefect.away = False
    world.birth("b")
    await world.hears("b")


async def test_without_linked_nodes_nothing_is_asked(world: World):
    world.wanted = False
    world.birth("a")
    world.wanted = True
    world.birth("b", work_pool_name=None)
    world.birth("c", work_pool_name="another")
    await asyncio.sleep(0.01)
    assert (world.heard, world.prefect.asked) == ([], 0)
    PoolGates(world.prefect, None).born(Newborn({"id": "d"}, {"work_pool_name": "a/b"}, "resize", 0, "d"))


async def test_it_ends_while_it_asks(world: World):
    world.prefect.gate.clear()
    world.birth("a")
    while not world.prefect.asked:
        await asyncio.sleep(0)
    await asyncio.wait_for(world.gates.close(), 10)
    assert world.heard == []
