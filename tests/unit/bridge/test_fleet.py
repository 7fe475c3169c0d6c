"""The fleet of dtask's workers: leases, silence, who waits."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from skald_bridge.adapters import grant_file
from skald_bridge.adapters.grant_file import GrantFile
from skald_bridge.domain.placements import Full, Granted, NoWorker, Queued, Waited
from skald_bridge.services import fleet as service
from skald_bridge.services import waiting_line
from skald_bridge.services.fleet import Fleet
from skald_bridge.services.loop import Wake
from skald_bridge.wire.dtask import Heartbeat, Schedule
from skald_work_pools.needs import Needs


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


class World:
    def __init__(self, file: Path) -> None:
        self.clock = Clock()
        self.file = file
        self.restart()

    def restart(self) -> None:
        """As after SIGKILL."""
        self.fleet = Fleet(self.clock, Wake(), GrantFile(self.file))

    def later(self, seconds: float) -> None:
        self.clock.time += timedelta(seconds=seconds)

    async def live(self, seconds: float) -> None:
        """As when nothing holds the bridge up."""
        for _ in range(int(seconds)):
            self.later(1)
            await self.fleet.step()
        self.later(seconds % 1)
        await self.fleet.step()

    def hear(self, name: str = "w", slots: int = 1, taken: int = 0, *tags: str, **more: Any) -> bool:
        return self.fleet.heartbeat(Heartbeat(name, f"{name}:1", tags, slots, taken, **more))

    def place(self, task: str, *tags: str, **more: Any) -> str | None:
        """The worker."""
        found = self.fleet.place(Schedule(task, tags, **more))
        return found.worker_id if isinstance(found, Granted) else None

    def ask(self, task: str, wait: float = 20, **more: Any) -> asyncio.Task[Any]:
        more = {"keeps_place": True, **more}
        return asyncio.ensure_future(self.fleet.place_or_wait(Schedule(task, wait=wait, **more)))

    def taken(self, name: str = "w") -> int:
        return next(each.current_tasks for each in self.fleet.workers() if each.worker_id == name)


@pytest.fixture
async def world(tmp_path: Path) -> World:
    return World(tmp_path / "journal.grants")


async def test_a_heartbeat_does_not_erase_grants(world):
    world.hear()
    assert world.place("a") == "w"
    for _ in range(5):
        world.later(3)
        world.hear()
        assert world.taken() == 1
        assert world.place("b") is None
    assert world.place("a") == "w"


async def test_grants_are_among_the_tasks_that_a_worker_counts(world):
    world.hear(slots=3)
    assert [world.place(task) for task in "ab"] == ["w", "w"]
    world.hear(slots=3, taken=2)
    assert world.taken() == 2
    assert world.place("c") == "w"
    assert world.place("d") is None


async def test_the_end_of_a_lease_is_not_the_end_of_the_task(world):
    world.hear()
    assert world.place("a", lease=5) == "w"
    world.later(3)
    world.hear(taken=1)
    world.later(3)
    assert world.place("b") is None
    assert world.taken() == 1
    world.hear(taken=0)
    assert world.place("b") == "w"


async def test_a_lease_that_nobody_took_up_ends(world):
    world.hear()
    assert world.place("a", lease=5) == "w"
    world.later(4)
    world.hear()
    assert world.place("b") is None
    world.later(1)
    assert world.place("b") == "w"
    world.later(51)
    world.hear()
    assert world.place("c") is None
    world.later(9)
    assert world.place("c") == "w"


async def test_release_frees_at_once(world):
    world.hear()
    assert world.place("a") == "w"
    world.hear(taken=1)
    assert world.fleet.release("a")
    assert not world.fleet.release("a")
    assert world.place("b") == "w"


async def test_a_task_that_asks_for_something_else_gives_up_its_place(world):
    world.hear("cpu", 1, 0, "cpu")
    world.hear("gpu", 1, 0, "gpu")
    assert world.place("a", "cpu") == "cpu"
    assert world.place("a", "gpu") == "gpu"
    assert world.place("b", "cpu") == "cpu"
    assert world.place("a", "tpu") is None
    assert world.place("c", "gpu") == "gpu"


async def test_tags_and_priority(world):
    world.hear("slow", 5, 0, "x", "slow")
    world.hear("fast", 5, 0, "x", "ssd")
    assert {world.place(f"f{n}", "x", forbidden=("slow",)) for n in range(4)} == {"fast"}
    assert world.place("p", "x", preferred=("slow",)) == "slow"
    assert world.place("n", "x", needs=Needs(cpus=1)) is None


async def test_silence(world, caplog):
    caplog.set_level(logging.INFO, "skald_bridge.fleet")
    world.hear("a\nb", slots=2)
    assert world.place("t") == "a\nb"
    for seconds, state in ((9.9, "online"), (0.2, "suspicious"), (10, "offline")):
        await world.live(seconds)
        assert [each.status for each in world.fleet.workers()] == [state]
        assert (world.place(f"at {seconds}") is not None) is (state == "online")
    assert world.fleet.states() == {"online": 0, "suspicious": 0, "offline": 1}
    world.hear("a\nb", slots=2)
    assert world.place("u") == "a\nb"
    await world.live(3700)
    assert list(world.fleet.workers()) == []
    assert r"worker is forgotten: a\nb" in caplog.text and "a\nb" not in caplog.text


async def test_a_bridge_that_was_frozen_does_not_take_workers_for_silent(world):
    world.hear("there")
    assert world.place("a") == "there"
    await world.live(1)
    world.later(600)
    await world.fleet.step()
    assert [each.status for each in world.fleet.workers()] == ["online"]
    await world.live(21)
    assert [each.status for each in world.fleet.workers()] == ["offline"]


async def test_many_changes_are_told_in_few_lines(world, caplog):
    caplog.set_level(logging.INFO, "skald_bridge.fleet")
    for number in range(500):
        world.hear(f"w{number}")
    await world.fleet.step()
    assert "worker reports: w0, w1" in caplog.text and "and 480 more" in caplog.text
    assert len(caplog.records) == 1


async def test_one_that_leaves_while_the_list_is_read(world):
    world.hear("a")
    world.hear("b")
    listed = world.fleet.workers()
    assert next(listed).worker_id == "a"
    world.hear("b", leaving=True)
    assert list(listed) == []


async def test_one_that_leaves_is_given_nothing_more(world):
    world.hear(slots=9)
    assert world.place("a") == "w"
    world.hear(leaving=True)
    assert world.place("b") is None
    assert list(world.fleet.workers()) == []
    assert world.hear(leaving=True)
    assert list(world.fleet.workers()) == []


async def test_workers_are_bounded(world, monkeypatch):
    monkeypatch.setattr(service, "MOST_WORKERS", 2)
    assert [world.hear(name) for name in ("a", "b", "c", "a")] == [True, True, False, True]


async def test_odd_numbers(world):
    world.hear("none", 0, 0)
    world.hear("less than none", -5, 0)
    world.hear("full", 3, 2**63 - 1)
    assert world.place("a") is None
    world.hear("owing", 1, -3)
    assert world.taken("owing") == -3
    assert world.place("a") == "owing"
    assert world.taken("owing") == -2


async def test_waiting_by_priority_then_age(world):
    world.hear()
    assert world.place("a") == "w"
    asked = [world.ask("b"), world.ask("c"), world.ask("d", priority=9)]
    await asyncio.sleep(0)
    for task, expected in (("a", 2), ("d", 0), ("b", 1)):
        assert world.fleet.release(task)
        answer = await asked[expected]
        assert (answer.worker_id, answer.queued) == ("w", True)
    assert world.fleet.waiting == 0


async def test_nobody_overtakes_those_who_wait(world):
    world.hear()
    assert world.place("a") == "w"
    asked = world.ask("b")
    await asyncio.sleep(0)
    world.fleet.release("a")
    assert world.place("c") is None
    assert (await asked).worker_id == "w"


async def test_a_small_task_does_not_wait_for_one_that_fits_nowhere(world):
    never = world.ask("never", required=("tpu",))
    await asyncio.sleep(0)
    small = world.ask("small")
    await asyncio.sleep(0)
    world.hear()
    assert (await small).worker_id == "w"
    assert world.fleet.release("never")
    assert await never == NoWorker()


async def test_a_place_in_the_line_is_kept_and_lost(world, monkeypatch):
    assert await world.ask("a", 0.001) == Queued(1)
    assert await world.ask("b", 0.001) == Queued(2)
    assert await world.ask("a", 0.001) == Queued(1)
    assert await world.ask("dtask's", 0.001, keeps_place=False) == Waited()
    assert world.fleet.waiting == 2
    monkeypatch.setattr(waiting_line, "KEPT", -1)
    assert await world.ask("b", 0.001) == Queued(2)
    await world.fleet.step()
    assert await world.ask("c", 0.001) == Queued(2)


async def test_one_that_goes_is_not_waited_for(world):
    asked = world.ask("a", keeps_place=False)
    await asyncio.sleep(0)
    assert world.fleet.waiting == 1
    asked.cancel()
    await asyncio.wait([asked])
    assert world.fleet.waiting == 0


async def test_two_that_ask_for_one_task(world):
    asked = [world.ask("a"), world.ask("a", keeps_place=False)]
    await asyncio.sleep(0)
    asked[1].cancel()
    await asyncio.wait([asked[1]])
    assert world.fleet.waiting == 1
    world.hear()
    assert (await asked[0]).worker_id == "w"
    assert world.taken() == 1


async def test_the_line_is_bounded(world, monkeypatch):
    monkeypatch.setattr(waiting_line, "MOST", 1)
    asked = world.ask("a")
    await asyncio.sleep(0)
    assert await world.ask("b") == Full()
    asked.cancel()


async def test_grants_outlive_the_process(world):
    world.hear("w", 3, 0, "x")
    world.hear("v", 1, 0, "y")
    assert [world.place(task, "x") for task in ("a", "b")] == ["w", "w"]
    assert world.place("c", "y", lease=5) == "v"
    assert world.fleet.release("b")
    world.restart()
    assert world.place("a", "x") == "w"
    assert world.place("d", "x") is None
    world.hear("w", 3, 1, "x")
    assert world.taken() == 1
    assert [world.place(task, "x") for task in ("d", "e", "f")] == ["w", "w", None]
    assert world.place("a", "x") == "w"
    world.later(6)
    world.hear("v", 1, 0, "y")
    assert world.place("g", "y") == "v"
    world.restart()
    assert world.fleet.release("g")
    assert not world.fleet.release("g")
    assert world.place("a", "y") is None
    world.hear("w", 3, 0, "x")
    assert [world.place(task, "x") for task in ("h", "i")] == ["w", None]


async def test_a_damaged_file_of_grants(world):
    world.hear()
    assert world.place("a") == "w"
    with world.file.open("ab") as file:
        file.write(b'\xff\n[]\n5\n{"task":"b","worker":"w"}\n{"task":"c","wor')
    world.restart()
    world.hear()
    assert world.place("b") is None
    world.fleet.release("a")
    assert world.place("d") == "w"
    world.restart()
    world.hear()
    assert world.place("e") is None
    assert world.place("d") == "w"


async def test_a_file_of_grants_is_shortened(world, monkeypatch):
    monkeypatch.setattr(grant_file, "LONG", 1000)
    world.restart()
    world.hear(slots=2)
    assert world.place("kept") == "w"
    for number in range(100):
        assert world.place(f"t{number}") == "w"
        world.fleet.release(f"t{number}")
    await world.fleet.step()
    assert world.file.stat().st_size < 200
    assert world.place("after") == "w"
    world.restart()
    world.hear(slots=2)
    assert [world.place(task) for task in ("kept", "after", "more")] == ["w", "w", None]


async def test_a_disk_that_is_full(tmp_path, caplog):
    world = World(tmp_path / "no such folder" / "journal.grants")
    world.hear(slots=2)
    assert [world.place(task) for task in "ab"] == ["w", "w"]
    assert caplog.text.count("grants are kept in memory only") == 1


async def test_who_waits_is_told_with_the_reason(tmp_path: Path) -> None:
    world = World(tmp_path / "grants")
    world.hear("w", 1)
    assert world.place("first") == "w"
    asked = [
        Schedule("second", wait=600.0, needs=Needs(cpus=1)),
        Schedule("third", ("nowhere",), wait=600.0),
    ]
    asking = [asyncio.ensure_future(world.fleet.place_or_wait(each)) for each in asked]
    await asyncio.sleep(0)
    told = world.fleet.requests(10)
    assert [each.request.task for each in told] == ["second", "third"]
    assert all(each.since == world.clock.now() and each.reason for each in told)
    assert [each.request.task for each in world.fleet.requests(1)] == ["second"]
    world.hear("v")
    assert [(each.member.id, each.tasks) for each in world.fleet.standings(1)] == [("w", 1)]
    assert world.fleet.size == 2
    for each in asking:
        each.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
