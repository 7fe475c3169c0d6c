"""Who is lent a task when several things happen at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from unittest.mock import AsyncMock

from skald_bridge.adapters.clock import SystemClock
from skald_bridge.adapters.memory_pulse import MemoryPulse
from skald_bridge.domain.commands import NewTask
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.pulse import NodeMode
from skald_bridge.domain.skalds_nodes import SkaldsNode
from skald_bridge.services.mirror import Mirror
from skald_bridge.services.skalds_dispatch import LOOKS_AGAIN, SkaldsDispatch
from tests.services.memory_stores import MemoryArchive, MemoryJournal

CLOCK = SystemClock()


class Peers:
    """Says each of ``lists`` in turn, then the last again and again."""

    def __init__(self, *lists: Sequence[SkaldsNode]) -> None:
        self.lists = list(lists)
        self.asked = 0
        self.forget = AsyncMock()

    async def nodes(self) -> list[SkaldsNode]:
        await asyncio.sleep(0)
        found = self.lists[min(self.asked, len(self.lists) - 1)]
        self.asked += 1
        return list(found)


def node(*types: str, mode: NodeMode = NodeMode.NODE) -> SkaldsNode:
    return SkaldsNode(NodeId("theirs"), mode, CLOCK.now(), types)


def new() -> NewTask:
    return NewTask(TaskId("t"), "Cut", "Skalds", CLOCK.now())


def lending(peers: Peers) -> tuple[SkaldsDispatch, AsyncMock]:
    archive, documents = MemoryArchive(), AsyncMock()
    mirror = Mirror(AsyncMock(), MemoryJournal(), None, archive, CLOCK)
    guests = SkaldsDispatch(
        peers, documents, AsyncMock(), MemoryPulse(), mirror, archive, CLOCK, ours=lambda: [NodeId("ours")]
    )
    return guests, documents.assign


async def test_a_list_that_is_just_being_written_anew_is_read_again() -> None:
    peers = Peers([node()], [node("Sew")], [node("Sew", "Cut")])
    guests, assign = lending(peers)
    assert await guests.offer(new())
    assert assign.await_count == 1
    assert peers.asked == 3


async def test_what_no_node_runs_is_refused_after_a_few_looks() -> None:
    peers = Peers([node("Sew")])
    guests, assign = lending(peers)
    assert not await guests.offer(new())
    assert peers.asked == len(LOOKS_AGAIN) + 1
    assign.assert_not_awaited()


async def test_without_a_node_that_takes_work_one_look_is_enough() -> None:
    for found in ([], [node("Sew", mode=NodeMode.EDGE)]):
        peers = Peers(found)
        assert not await lending(peers)[0].offer(new())
        assert peers.asked == 1


async def test_a_task_offered_twice_at_once_is_lent_once() -> None:
    guests, assign = lending(Peers([node("Cut")]))
    assert await asyncio.gather(*(guests.offer(new()) for _ in range(5))) == [True] * 5
    assert assign.await_count == 1
