"""Children made and warmed before the run is known that they will execute."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from skald_work_pools.node.processes.child_process import ChildProcess
from skald_work_pools.node.processes.zygote_client import ZygoteGone

DISMISSED_SECONDS = 3.0
"""What a spare that nobody took gets to end by itself."""
_log = logging.getLogger("skald.node.spares")


class Spares:
    """Keeps ``count`` children ready, one until the first was taken; ``make`` makes one, and may take a while."""

    def __init__(self, make: Callable[[], Awaitable[ChildProcess]], count: int, refill_after: float) -> None:
        self._make = make
        self._most = count
        self._count = min(1, count)
        self._refill_after = refill_after
        self._ready: deque[ChildProcess] = deque()
        self._watching: set[asyncio.Task[None]] = set()
        self._refilling: asyncio.Task[None] | None = None
        self._closed = False

    async def take(self) -> ChildProcess:
        """A warm child if there is one, else a new one, which takes its run as soon as it is warm.

        Raises:
            ZygoteGone: the zygote has ended.
        """
        child = next((each for each in self._ready if each.warm.is_set()), None)
        if child is None and self._ready:
            child = self._ready[0]
        if child is not None:
            self._ready.remove(child)
        else:
            child = await self._make()
        self._count = self._most
        self.refill(self._refill_after)
        return child

    @property
    def pids(self) -> list[int]:
        return [child.pid for child in self._ready]

    def refill(self, after: float = 0.0) -> None:
        if not self._closed and (self._refilling is None or self._refilling.done()):
            self._refilling = asyncio.create_task(self._refill(after))

    async def close(self) -> None:
        """End the spares that nobody took."""
        self._closed = True
        if self._refilling is not None:
            self._refilling.cancel()
            with suppress(asyncio.CancelledError):
                await self._refilling
        for child in self._ready:
            with suppress(OSError):
                child.dismiss()
        if self._watching:
            await asyncio.wait(list(self._watching), timeout=DISMISSED_SECONDS)
        for child in self._ready:
            child.kill()
        await asyncio.gather(*self._watching, return_exceptions=True)

    async def _refill(self, after: float) -> None:
        await asyncio.sleep(after)
        while len(self._ready) < self._count:
            try:
                child = await self._make()
            except ZygoteGone as error:
                _log.debug("no spare child: %s", error)
                return
            self._ready.append(child)
            watch = asyncio.create_task(self._watch(child))
            self._watching.add(watch)
            watch.add_done_callback(self._watching.discard)

    async def _watch(self, child: ChildProcess) -> None:
        """A spare that dies is replaced, after a while: it may die of what kills every other."""
        end = await child.exited()
        if child in self._ready:
            self._ready.remove(child)
            child.close()
            if not self._closed:
                _log.warning("a spare child %s", end)
                self.refill(5.0)
