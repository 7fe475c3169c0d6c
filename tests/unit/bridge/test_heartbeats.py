"""The picture of the nodes that heartbeats are made of."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from unittest.mock import AsyncMock

import pytest

from skald_bridge.adapters.memory_pulse import MemoryPulse
from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.facts import Node
from skald_bridge.domain.ids import NodeId
from skald_bridge.services.heartbeats import PERIOD, Heartbeats
from skald_bridge.services.task_cache import TaskCache

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
