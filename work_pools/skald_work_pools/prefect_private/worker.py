"""What a node needs to see of Prefect's worker, and what it leaves out."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any
from uuid import UUID

from prefect.settings import get_current_settings
from prefect.types._datetime import now
from prefect.workers.server import _run_healthcheck_server


class NodeWorker:
    """Beside ``BaseWorker``: what a node needs to see of it, and what it leaves out."""

    backend_id: UUID | None
    is_worker_still_polling: Any
    _emit_worker_started_event: Any
    _last_polled_time: Any
    _limit: int | None
    _started_event: Any
    _work_pool: Any
    _work_pool_name: str
    _work_queues: set[str]

    @property
    def work_pool_name(self) -> str:
        return self._work_pool_name

    @property
    def queue_names(self) -> frozenset[str]:
        """Empty is all of them."""
        return frozenset(self._work_queues)

    @property
    def limit(self) -> int | None:
        return self._limit

    @property
    def worker_id(self) -> str | None:
        return str(self.backend_id) if self.backend_id else None

    @property
    def knows_its_pool(self) -> bool:
        return self._work_pool is not None

    def serve_health(self, stack: ExitStack) -> None:
        """Answer health checks until the stack closes."""
        interval = get_current_settings().worker.query_seconds
        stack.enter_context(
            _run_healthcheck_server(lambda: self.is_worker_still_polling(query_interval_seconds=interval))
        )

    def polled(self) -> None:
        """For health checks."""
        self._last_polled_time = now("UTC")

    async def say_started(self) -> None:
        self._started_event = await self._emit_worker_started_event()

    async def _setup_cancellation_observer(self) -> None:
        """The node listens to its pool itself, on one websocket for everything."""
