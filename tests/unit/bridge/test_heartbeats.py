"""The picture of the nodes that heartbeats are made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, patch

import pytest

from skald_bridge import main
from skald_bridge.adapters.memory_pulse import MemoryPulse
from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.facts import Node
from skald_bridge.domain.ids import NodeId
from skald_bridge.services.heartbeats import PERIOD, Heartbeats
from skald_bridge.services.task_cache import TaskCache
from tests.services.poll import auntil

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def node(*task_types: str) -> Node:
    return Node(NodeId("n-1"), "cpu", True, NOW, {"task_types": list(task_types)})


def made(nodes: AsyncMock) -> Heartbeats:
    engine, clock = AsyncMock(), AsyncMock()
    engine.nodes, clock.now = nodes, lambda: NOW
    return Heartbeats(engine, MemoryPulse(), TaskCache(), clock, lambda: True)


async def test_a_change_while_prefect_answers_is_asked_for_again() -> None:
    answers, asked, answer = [[node()], [node("Probe")]], asyncio.Event(), asyncio.Event()

    async def slow() -> list[Node]:
        found = answers.pop(0)
        asked.set()
        await answer.wait()
        return found

    beat = made(AsyncMock(side_effect=slow))
    step = asyncio.create_task(beat.step())
    await asked.wait()
    beat.forget_nodes()
    answer.set()
    assert await step == 0.0
    await beat.step()
    assert beat.nodes == [node("Probe")]


async def test_what_prefect_did_not_answer_is_asked_again() -> None:
    beat = made(AsyncMock(side_effect=[Unavailable("away"), [node("Probe")]]))
    with pytest.raises(Unavailable):
        await beat.step()
    assert await beat.step() == 0.0
    assert beat.nodes == [node("Probe")]
    assert await beat.step() == PERIOD


class Unheard:
    """Prefect whose event stream opens late; what a node tells before that, nobody hears."""

    def __init__(self) -> None:
        self.known = [node()]
        self.opened, self.asked = asyncio.Event(), asyncio.Event()

    async def nodes(self) -> list[Node]:
        self.asked.set()
        return self.known

    @asynccontextmanager
    async def hints(self) -> AsyncIterator[AsyncIterator[Any]]:
        await self.opened.wait()
        yield self._none()

    async def _none(self) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield

    def __getattr__(self, name: str) -> Any:
        return AsyncMock(return_value=[], name=name)


async def test_a_node_that_changed_before_events_were_heard_is_seen(tmp_path: Path) -> None:
    engine = Unheard()
    with patch.object(main, "PrefectEngine", lambda **_: nullcontext(engine)):
        async with main.embedded(tmp_path / "journal.db") as bridge:
            loops = [loop for loop in bridge.loops if loop.name in ("events", "pulse")]
            for loop in loops:
                loop.start()
            try:
                async with asyncio.timeout(10):
                    await engine.asked.wait()
                engine.known = [node("Probe")]
                engine.opened.set()
                await auntil(lambda: seen(bridge.heartbeats), 10, "the node's task types")
            finally:
                for loop in loops:
                    await loop.stop()


async def seen(heartbeats: Heartbeats) -> bool:
    return heartbeats.nodes == [node("Probe")]


async def test_who_is_online_is_known_once_prefect_was_asked() -> None:
    away = Node(NodeId("n-2"), "gpu", False, NOW, {})
    beat = made(AsyncMock(return_value=[node(), away]))
    assert beat.online is None
    await beat.step()
    assert beat.online == {"cpu/n-1"}
