"""What the parts of a node share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from skald_work_pools.messages import NODE_LABEL, POOL_LABEL, WORKER_LABEL
from skald_work_pools.node.processes.codebases import Codebases
from skald_work_pools.node.processes.stems import Stems
from skald_work_pools.node.server.event_emitter import EventEmitter
from skald_work_pools.node.server.run_api import RunApi
from skald_work_pools.node.server.run_logs import RunLogs

_log = logging.getLogger("skald.node")


@dataclass
class NodeContext:
    """What every supervisor on the node works with; ``stems`` start ordinary processes, and zygotes.

    ``lane`` is for writes that nobody waits for: one at a time, and at first only while the node is ``calm``,
    with no run on its way to user code; else they hold up those that matter.
    """

    name: str
    api: RunApi
    logs: RunLogs
    emitter: EventEmitter
    codebases: Codebases
    stems: Stems
    cancel_grace: float
    result_storage: str | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    lane: asyncio.Lock = field(default_factory=asyncio.Lock)
    calm: asyncio.Event = field(default_factory=asyncio.Event)

    def labels(self, pool: str) -> dict[str, Any]:
        return {WORKER_LABEL: self.name, NODE_LABEL: self.name, POOL_LABEL: pool}

    def aside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something off the critical path; the node waits for it before it ends."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:
                _log.warning("left undone: %s", error, exc_info=_log.isEnabledFor(logging.DEBUG))

        task = asyncio.create_task(guarded())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def finish(self, seconds: float) -> None:
        """Wait for what was put aside; give up the rest after ``seconds``."""
        tasks = list(self.tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
