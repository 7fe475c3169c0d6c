"""Kafka's records, each worked on until it is done: those of one key in order, those of several side by side."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NoReturn

from skald_bridge.domain.commands import Received
from skald_bridge.domain.errors import Unavailable
from skald_bridge.ports import Subscription

MOST_OPEN = 400
"""Records received and not yet done; more are left in Kafka."""
MOST_DONE = 50_000
"""Records done behind one that is not, before which nothing can be committed."""
_log = logging.getLogger("skald_bridge.commands")
_IDLE = 1.0
_BUSY = 0.05
"""Seconds to wait for records, without and with some whose end is to be committed."""


class KeyedQueue:
    """Two duties, ``take`` and ``work``.

    A record is committed when it and all before it in its partition are done. One that takes long, or cannot be
    done now, holds up those of its own key and no others.
    """

    def __init__(
        self, subscription: Subscription, do: Callable[[Received], Awaitable[None]], *, most: int = MOST_OPEN
    ) -> None:
        """``do`` raises ``Unavailable`` only, which ``take`` raises too, and the record is tried again.

        Whatever else it raises is a defect of its own: the record counts as done.
        """
        self._subscription = subscription
        self._do = do
        self._most = most
        self._held: dict[tuple[str, int], dict[int, Received]] = {}
        """Not committed yet, by partition and offset, oldest first; of those that are done only their places."""
        self._done: set[tuple[str, int, int]] = set()
        self._open = 0
        self._lanes: dict[bytes | None, deque[Received]] = {}
        self._begun: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._progress = asyncio.Event()
        self._again = asyncio.Event()
        self._failed: Unavailable | None = None

    async def take(self) -> float:
        """Receive records and commit those that are done; what failed before is tried again."""
        again, self._again = self._again, asyncio.Event()
        again.set()
        if self._open < self._most and len(self._done) < MOST_DONE:
            busy = self._open or self._done
            for record in await self._subscription.receive(self._most - self._open, _BUSY if busy else _IDLE):
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
        beside = self._held.setdefault((record.topic, record.partition), {})
        if record.offset in beside:
            return  # a consumer that lost its connection receives again what is not committed
        beside[record.offset] = replace(record, value=None)
        self._open += 1
        if record.key not in self._lanes:
            self._lanes[record.key] = deque()
            self._begun.put_nowait(record.key)
        self._lanes[record.key].append(record)

    def _leave(self) -> list[Received]:
        """What can be committed, partition by partition in order."""
        left: list[Received] = []
        for (topic, partition), records in self._held.items():
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
            self._open -= 1
            self._progress.set()
        del self._lanes[key]

    async def _finish(self, record: Received) -> None:
        while True:
            again = self._again
            try:
                return await self._do(record)
            except Unavailable as error:
                self._failed = error
                self._progress.set()
                await again.wait()
            except Exception:
                _log.exception("%s/%d/%d is left out", record.topic, record.partition, record.offset)
                return None

    async def _some_progress(self) -> None:
        self._progress.clear()
        try:
            async with asyncio.timeout(_IDLE):
                await self._progress.wait()
        except TimeoutError:
            return
