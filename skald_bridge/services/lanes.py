"""Kafka's records, each worked on until it is done: those of one key in order, those of several side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NoReturn

from skald_bridge.domain.commands import Received
from skald_bridge.ports import Subscription

MOST_OPEN = 400
"""Records received and not yet done; more are left in Kafka."""
_IDLE = 1.0
_BUSY = 0.05
"""Seconds to wait for records, without and with some whose end is to be committed."""


class Lanes:
    """Two duties, ``take`` and ``work``.

    A record is committed when it and all before it in its partition are done. One that takes long, or cannot be
    done now, holds up those of its own key and no others.
    """

    def __init__(
        self, subscription: Subscription, do: Callable[[Received], Awaitable[None]], *, most: int = MOST_OPEN
    ) -> None:
        """What ``do`` raises is raised by ``take``, and the record is tried again."""
        self._subscription = subscription
        self._do = do
        self._most = most
        self._open: dict[tuple[str, int], dict[int, Received]] = {}
        """By partition and offset, oldest first."""
        self._done: set[tuple[str, int, int]] = set()
        self._lanes: dict[bytes | None, deque[Received]] = {}
        self._begun: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._progress = asyncio.Event()
        self._again = asyncio.Event()
        self._failed: Exception | None = None

    async def take(self) -> float:
        """Receive records and commit those that are done; what failed before is tried again."""
        again, self._again = self._again, asyncio.Event()
        again.set()
        open_ = sum(map(len, self._open.values()))
        if open_ < self._most:
            for record in await self._subscription.receive(self._most - open_, _BUSY if open_ else _IDLE):
                self._enter(record)
        else:
            await self._some_progress()
        if done := self._leave():
            await self._subscription.commit(done)
        if (failed := self._failed) is not None:
            self._failed = None
            raise failed
        return 0.0

    async def work(self) -> NoReturn:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._follow(await self._begun.get()))

    def _enter(self, record: Received) -> None:
        beside = self._open.setdefault((record.topic, record.partition), {})
        if record.offset in beside:
            return  # a consumer that lost its connection receives again what is not committed
        beside[record.offset] = record
        if record.key not in self._lanes:
            self._lanes[record.key] = deque()
            self._begun.put_nowait(record.key)
        self._lanes[record.key].append(record)

    def _leave(self) -> list[Received]:
        """What can be committed, partition by partition in order."""
        left: list[Received] = []
        for (topic, partition), records in self._open.items():
            while records and (topic, partition, first := next(iter(records))) in self._done:
                self._done.remove((topic, partition, first))
                left.append(records.pop(first))
        return left

    async def _follow(self, key: bytes | None) -> None:
        lane = self._lanes[key]
        while lane:
            await self._finish(lane[0])
            done = lane.popleft()
            self._done.add((done.topic, done.partition, done.offset))
            self._progress.set()
        del self._lanes[key]

    async def _finish(self, record: Received) -> None:
        while True:
            again = self._again
            try:
                return await self._do(record)
            except Exception as error:
                self._failed = error
                self._progress.set()
                await again.wait()

    async def _some_progress(self) -> None:
        self._progress.clear()
        try:
            async with asyncio.timeout(_IDLE):
                await self._progress.wait()
        except TimeoutError:
            return
