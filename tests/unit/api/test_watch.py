"""What followers are told of tasks and Skalds, over the embedded archive and pulse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from skald_bridge.adapters.memory_pulse import MemoryPulse
from skald_bridge.adapters.sqlite import SqliteArchive
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.api.backend import Backend
from skald_bridge.api.stream import Snapshot, Stream
from skald_bridge.api.watch import CLIENTS, Watch
from skald_bridge.domain.effects import EndPulse
from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.facts import Node
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.lifecycle import StateType, lifecycle_of
from skald_bridge.domain.pulse import NodeBeat, RunningTask, Vitals
from skald_bridge.domain.records import TaskDocument
from tests.contract.records import AT, document, task_id
from tests.unit.api.test_stream import blocks

N1 = NodeId("n1")


class AwayPulse(MemoryPulse):
    """Can be made to be away."""

    away = False

    async def vitals(self, tasks: Any, now: datetime) -> dict[TaskId, Vitals]:
        if self.away:
            raise Unavailable("Redis is away")
        return await super().vitals(tasks, now)


@dataclass
class World:
    archive: SqliteArchive
    pulse: AwayPulse
    beat: SimpleNamespace
    at: datetime = AT
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        backend = SimpleNamespace(
            archive=self.archive,
            pulse=self.pulse,
            peers=None,
            bridge=SimpleNamespace(heartbeats=self.beat),
            clock=self,
        )
        self.watch = Watch(cast(Backend, backend), period=0.0, linger=0.0)

    def now(self) -> datetime:
        return self.at

    async def beats(self, *tasks: TaskId) -> None:
        """One period later, these tasks are at work on n1."""
        self.at += timedelta(seconds=3)
        running = tuple(RunningTask(task, "Probe", N1) for task in tasks)
        self.beat.nodes = [Node(N1, "cpu", True, self.at, {"limit": 4})]
        self.beat.beats, self.beat.at = [NodeBeat(N1, task_types=("Probe",), tasks=running)], self.at
        await self.pulse.beat(self.beat.beats, tasks, self.at)

    async def hears(self, stream: Stream, snapshot: Snapshot, last: str | None = None) -> Heard:
        return Heard(stream.follow(snapshot, last_id=last))


class Heard:
    """One follower."""

    def __init__(self, events: AsyncIterator[str]) -> None:
        self._events = events
        self._next: asyncio.Future[str] | None = None

    async def all(self) -> list[dict[str, Any]]:
        """What has come since it was asked last."""
        found: list[dict[str, Any]] = []
        while True:
            self._next = self._next or asyncio.ensure_future(cast(Any, anext(self._events)))
            await asyncio.wait([self._next], timeout=0.05)
            if not self._next.done():
                return found
            found += [json.loads(block["data"]) for block in blocks(self._next.result()) if "data" in block]
            self._next = None


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with SqliteFile(tmp_path / "journal.db", write=True) as file:
        beat = SimpleNamespace(nodes=[], beats=[], at=None)
        yield World(SqliteArchive(file), AwayPulse(), beat)


def told(task: TaskDocument, kind: str, **data: Any) -> tuple[str, str, dict[str, Any]]:
    return kind, task.id, {**data, "lifecycleStatus": task.lifecycle.value}


def seen(events: list[dict[str, Any]]) -> list[tuple[str, str, dict[str, Any]]]:
    assert all(isinstance(event["timestamp"], int) for event in events)
    return [(event["type"], event.get("taskId") or event["skaldId"], event["data"]) for event in events]


def moved(task: TaskDocument, state: StateType, **changes: Any) -> TaskDocument:
    return replace(task, sequence=task.sequence + 1, lifecycle=lifecycle_of(state), **changes)


async def test_a_task_as_it_lives(world: World) -> None:
    watch, task = world.watch, document(task_id())
    ended = document(task_id(), 3, StateType.CRASHED, exception="no such file")
    await world.archive.put([ended, task])
    await world.beats(task.id)
    with watch.following():
        await watch.step()
        follower = await world.hears(watch.tasks, watch.task_snapshot)
        assert sorted(seen(await follower.all())) == sorted(
            [
                told(ended, "task_heartbeat", heartbeat=-1),
                told(ended, "task_exception", exception="no such file"),
                told(task, "task_heartbeat", heartbeat=0),
            ]
        )
        await world.beats(task.id)
        await watch.step()
        assert seen(await follower.all()) == [told(task, "task_heartbeat", heartbeat=1)]
        await watch.step()
        assert await follower.all() == []

        await world.pulse.note_error(task.id, "frame 7 is broken", world.at)
        await watch.step()
        assert seen(await follower.all()) == [told(task, "task_error", error="frame 7 is broken")]

        failed = moved(task, StateType.FAILED, exception="it was told to fail")
        await world.pulse.end([EndPulse(task.id, -1, failed.exception)], world.at)
        await world.archive.put([failed])
        await watch.step()
        assert seen(await follower.all()) == [
            told(failed, "task_heartbeat", heartbeat=-1),
            told(failed, "task_exception", exception="it was told to fail"),
        ]
        again = moved(failed, StateType.SCHEDULED, exception=None)
        await world.archive.put([again])
        await watch.step()
        assert seen(await follower.all()) == [told(again, "task_heartbeat", heartbeat=0)]


async def test_states_are_told_while_the_pulse_is_away(world: World) -> None:
    watch, task = world.watch, document(task_id(), 1, StateType.PENDING)
    await world.archive.put([task])
    world.pulse.away = True
    with watch.following():
        await watch.step()
        follower = await world.hears(watch.tasks, watch.task_snapshot)
        await follower.all()
        done = moved(task, StateType.COMPLETED)
        await world.archive.put([done])
        await watch.step()
        assert seen(await follower.all()) == [told(done, "task_heartbeat", heartbeat=200)]


async def test_a_skald_as_it_comes_and_goes(world: World) -> None:
    watch, task = world.watch, task_id()
    with watch.following():
        await watch.step()
        follower = await world.hears(watch.skalds, watch.skald_snapshot)
        assert await follower.all() == []
        await world.beats(task)
        await watch.step()
        assert seen(await follower.all()) == [
            ("skald_status", "n1", {"status": "online", "taskCount": 1}),
            ("skald_heartbeat", "n1", {"heartbeat": 0, "status": "online", "tasks": [task]}),
        ]
        world.beat.beats = []
        world.beat.nodes = [replace(world.beat.nodes[0], online=False)]
        await watch.step()
        assert seen(await follower.all()) == [("skald_status", "n1", {"status": "offline", "taskCount": 0})]
        world.beat.nodes = []
        await watch.step()
        assert seen(await follower.all()) == [("skald_status", "n1", {"status": "offline", "taskCount": 0})]


async def test_without_followers_it_rests_and_then_tells_what_is_so(world: World) -> None:
    watch, task = world.watch, document(task_id(), 1, StateType.SCHEDULED)
    await world.archive.put([task])
    assert await watch.step() > 60
    with watch.following():
        assert await watch.step() == 0.0
        async with aclosing(watch.tasks.follow(watch.task_snapshot)) as events:
            last = [block async for block in _until_mark(events)][-1]["id"]
    await asyncio.sleep(0.001)
    assert await watch.step() > 60
    done = moved(task, StateType.COMPLETED)
    await world.archive.put([done])
    with watch.following():
        await watch.step()
        follower = await world.hears(watch.tasks, watch.task_snapshot, last)
        assert seen(await follower.all()) == [told(done, "task_heartbeat", heartbeat=200)]


async def test_there_is_an_end_to_followers_and_to_what_is_remembered(world: World) -> None:
    watch = world.watch
    with watch.following():
        await watch.step()
        for _ in range(5):
            await world.archive.put([document(task_id(), 1, StateType.COMPLETED) for _ in range(900)])
            await watch.step()
        assert len(watch._shown) <= 2000
    entered = [watch.following() for _ in range(CLIENTS)]
    for each in entered:
        each.__enter__()
    with pytest.raises(Unavailable), watch.following():
        pass
    for each in entered:
        each.__exit__(None, None, None)
    assert watch.clients == 0


async def _until_mark(events: AsyncIterator[str]) -> AsyncIterator[dict[str, str]]:
    async for text in events:
        for block in blocks(text):
            yield block
            if list(block) == ["id"]:
                return
