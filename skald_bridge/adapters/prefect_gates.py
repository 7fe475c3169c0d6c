"""What of work pools and queues holds runs back, kept for as long as nothing tells of a change."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from skald_bridge.adapters.prefect_api import PrefectApi
from skald_bridge.domain.dispatch import Born, Gate, Queue
from skald_bridge.ports import Births

KNOWN_FOR = 10.0
"""Seconds for which a pool is not asked for again; not all that changes one is told by an event."""
_DEFAULT_QUEUE = "default"
_log = logging.getLogger("skald_bridge.gates")


@dataclass(frozen=True)
class Newborn:
    """A run that was just created, and its deployment, as Prefect's JSON."""

    run: Mapping[str, Any]
    deployment: Mapping[str, Any]
    class_name: str
    priority: int
    task: str

    @property
    def pool(self) -> str:
        """Empty where it has none."""
        return self.deployment.get("work_pool_name") or ""

    @property
    def queue(self) -> str:
        own = self.run.get("work_queue_name") or self.deployment.get("work_queue_name")
        return own or _DEFAULT_QUEUE


class PoolGates:
    """Tells ``births`` of each run that is born, with the gate of its pool: at once where that is known."""

    def __init__(
        self, api: PrefectApi, births: Births | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``clock`` gives seconds."""
        self._api, self._births, self._clock = api, births, clock
        self._known: dict[str, tuple[float, Gate]] = {}
        self._asking: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._forgotten = 0

    def forget(self) -> None:
        """A pool or a queue may have changed."""
        self._known.clear()
        self._forgotten += 1

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def born(self, new: Newborn) -> None:
        """Does not wait."""
        if self._births is None or not new.pool or not self._births.wants(new.pool):
            return
        if (gate := self._gate(new)) is not None:
            self._births.born(_born(new, gate))
            return
        task = asyncio.create_task(self._born_later(self._births, new))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _born_later(self, births: Births, new: Newborn) -> None:
        async with self._asking.setdefault(new.pool, asyncio.Lock()):
            gate = self._gate(new)
            if gate is None:
                try:
                    gate = await self._read(new.pool)
                except Exception as error:
                    _log.debug("work pool %s: %s", new.pool, error)
                    return
        births.born(_born(new, gate))

    def _gate(self, new: Newborn) -> Gate | None:
        """One that is known, and knows the queue."""
        until, gate = self._known.get(new.pool, (0.0, None))
        return gate if gate is not None and self._clock() < until and new.queue in gate.queues else None

    async def _read(self, pool: str) -> Gate:
        forgotten, path = self._forgotten, f"/work_pools/{quote(pool, safe='')}"
        found, rows = await asyncio.gather(
            self._api.call("GET", path), self._api.pages(f"{path}/queues/filter", {})
        )
        queues = {
            row["name"]: Queue(bool(row.get("is_paused")), row.get("concurrency_limit") is not None)
            for row in rows
        }
        gate = Gate(
            found["id"], bool(found.get("is_paused")), found.get("concurrency_limit") is not None, queues
        )
        if forgotten == self._forgotten:
            self._known[pool] = (self._clock() + KNOWN_FOR, gate)
        return gate


def _born(new: Newborn, gate: Gate) -> Born:
    limits = (new.deployment.get("global_concurrency_limit"), new.deployment.get("concurrency_limit"))
    return Born(
        new.run,
        new.class_name,
        new.pool,
        new.queue,
        gate,
        new.priority,
        {**(new.deployment.get("job_variables") or {}), **(new.run.get("job_variables") or {})},
        any(limit is not None for limit in limits),
        new.task,
    )
