"""Kafka's records on their lanes: what one of them waits for is nothing to those of other keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from skald_bridge.domain.commands import Received
from skald_bridge.domain.errors import Unavailable
from skald_bridge.services.keyed_queue import KeyedQueue
from tests.services.poll import auntil


class Topic:
    """A ``Subscription`` of records that the test puts there."""

    def __init__(self) -> None:
        self.waiting: list[Received] = []
        self.committed: list[int] = []
        self.asked: list[int] = []

    def put(self, *records: tuple[int, bytes | None], partition: int = 0) -> None:
        self.waiting += [Received("task.cancel", partition, offset, key, b"{}") for offset, key in records]

    async def receive(self, most: int, wait: float) -> list[Received]:
        self.asked.append(most)
        await asyncio.sleep(0)
        found, self.waiting = self.waiting[:most], self.waiting[most:]
        return found

    async def commit(self, records: Sequence[Received]) -> None:
        self.committed += [record.offset for record in records]


class Work:
    """Does each record once it is let go; ``failing`` are those that cannot be done now."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.done: list[int] = []
        self.kept: set[int] = set()
        self.failing: set[int] = set()

    async def __call__(self, record: Received) -> None:
        self.begun.append(record.offset)
        while record.offset in self.kept:
            await asyncio.sleep(0.001)
        if record.offset in self.failing:
            raise Unavailable("Prefect is away")
        self.done.append(record.offset)


@asynccontextmanager
async def working(lanes: KeyedQueue) -> AsyncIterator[list[Exception]]:
    """Both duties at work; gives what ``take`` raised."""
    raised: list[Exception] = []

    async def take() -> None:
        while True:
            try:
                await lanes.take()
            except Unavailable as error:
                raised.append(error)
            await asyncio.sleep(0.001)

    duties = [asyncio.create_task(take()), asyncio.create_task(lanes.work())]
    try:
        yield raised
    finally:
        for duty in duties:
            duty.cancel()
        await asyncio.wait(duties)


async def becomes(found: Sequence[int], wanted: Sequence[int], *, in_order: bool = True) -> None:
    async def same() -> bool:
        return list(found if in_order else sorted(found)) == list(wanted)

    await auntil(same, 5, f"{wanted}, not {found}")


async def test_those_of_one_key_are_done_in_order_and_another_s_wait_is_not_theirs() -> None:
    topic, work = Topic(), Work()
    work.kept = {0}
    topic.put((0, b"a"), (1, b"b"), (2, b"a"), (3, b"b"))
    async with working(KeyedQueue(topic, work)):
        await becomes(work.done, [1, 3])
        topic.put((4, b"c"))
        await becomes(work.done, [1, 3, 4])
        assert work.begun.count(2) == 0 and topic.committed == []
        work.kept.clear()
        await becomes(work.done, [1, 3, 4, 0, 2])
        await becomes(topic.committed, [0, 1, 2, 3, 4])


async def test_what_is_done_is_committed_up_to_what_is_not() -> None:
    topic, work = Topic(), Work()
    work.kept = {2}
    topic.put((0, b"a"), (1, b"b"), (2, b"c"), (3, b"d"))
    topic.put((70, b"e"), partition=1)
    async with working(KeyedQueue(topic, work)):
        await becomes(work.done, [0, 1, 3, 70], in_order=False)
        await becomes(topic.committed, [0, 1, 70], in_order=False)
        work.kept.clear()
        await becomes(topic.committed, [0, 1, 2, 3, 70], in_order=False)


async def test_what_cannot_be_done_now_is_said_and_tried_again() -> None:
    topic, work = Topic(), Work()
    work.failing = {0}
    topic.put((0, b"a"), (1, b"a"), (2, b"b"))
    async with working(KeyedQueue(topic, work)) as raised:

        async def said_again() -> bool:
            return len(raised) > 1

        await auntil(said_again, 5, "it fails twice")
        assert work.done == [2] and topic.committed == []
        work.failing.clear()
        await becomes(work.done, [2, 0, 1])
        await becomes(topic.committed, [0, 1, 2])


async def test_a_record_received_again_while_it_is_worked_on_is_done_once() -> None:
    topic, work = Topic(), Work()
    work.kept = {0}
    topic.put((0, b"a"), (1, b"b"))
    async with working(KeyedQueue(topic, work)):
        await becomes(work.done, [1])
        topic.put((0, b"a"), (1, b"b"), (2, b"b"))
        await becomes(work.done, [1, 2])
        work.kept.clear()
        await becomes(topic.committed, [0, 1, 2])
    assert work.done == [1, 2, 0]


async def test_no_more_are_received_than_may_be_open() -> None:
    topic, work = Topic(), Work()
    work.kept = set(range(10))
    topic.put(*((offset, b"%d" % offset) for offset in range(10)))
    async with working(KeyedQueue(topic, work, most=4)):
        await becomes(work.begun, [0, 1, 2, 3])
        work.kept -= {0, 1}
        await becomes(work.begun, [0, 1, 2, 3, 4, 5])
        assert len(topic.waiting) == 4
        work.kept.clear()
        await becomes(topic.committed, range(10))


async def test_records_without_a_key_are_done_in_order() -> None:
    topic, work = Topic(), Work()
    work.kept = {0}
    topic.put((0, None), (1, None))
    async with working(KeyedQueue(topic, work)):
        await becomes(work.begun, [0])
        work.kept.clear()
        await becomes(work.done, [0, 1])


@pytest.mark.parametrize("key", [None, b"a"])
async def test_a_fault_in_the_work_holds_up_nothing(key: bytes | None) -> None:
    topic, work = Topic(), Work()

    async def broken(record: Received) -> None:
        if record.offset == 5:
            raise RecursionError
        await work(record)

    topic.put((5, key), (6, key), (7, b"other"))
    async with working(KeyedQueue(topic, broken)):
        await becomes(topic.committed, [5, 6, 7])
    assert sorted(work.done) == [6, 7]


async def test_what_is_done_behind_a_record_that_is_not_does_not_count_as_open() -> None:
    topic, work = Topic(), Work()
    work.kept = {0}
    topic.put(*((offset, b"%d" % offset) for offset in range(1000)))
    async with working(KeyedQueue(topic, work, most=4)):
        await becomes(work.done, range(1, 1000), in_order=False)
        assert topic.committed == []
        work.kept.clear()
        await becomes(topic.committed, range(1000))
