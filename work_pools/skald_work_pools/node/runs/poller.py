"""Asks Prefect which runs of the pool may start, and offers them to the node's admission."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect.client.schemas.objects import FlowRun, WorkPool

from skald_work_pools.leases import Lease
from skald_work_pools.node.runs.admission import Admission
from skald_work_pools.node.runs.poll_wake import PollWake
from skald_work_pools.node.server.run_api import RunApi

PAGE, LONGEST_PAGE = 50, 200
"""Runs asked for at once, and when none of so many fits."""
AHEAD = timedelta(seconds=10)
"""Runs that are due this soon are asked for too, so that a poll can be made when they are."""
_log = logging.getLogger("skald.node.poller")


@dataclass(frozen=True)
class _Waiting:
    run: FlowRun
    data: dict[str, Any]


class Poller:
    """One node's; ``poll`` is called by one loop, never twice at once, whenever ``wake`` says so."""

    def __init__(self, api: RunApi, admission: Admission, queues: tuple[str, ...], wake: PollWake) -> None:
        self._api = api
        self._admission = admission
        self._queues = queues
        self._wake = wake
        self._left_some = False
        self._unsure = True
        self._page = PAGE
        self._backlog: deque[_Waiting] = deque()
        self._due: datetime | None = None

    @property
    def next_due(self) -> datetime | None:
        """When the next known run is due that is not due yet."""
        return self._due

    @property
    def backlog(self) -> int:
        """Runs of the last poll that were not considered yet."""
        return len(self._backlog)

    @property
    def others_wait(self) -> bool:
        """Whether runs are known that wait for room here, or may be known as soon as a poll is answered."""
        return self._unsure or self._wake.some_wait

    async def poll(self, pool: WorkPool) -> list[FlowRun]:
        """Ask Prefect what may start, and start what fits; returns the runs being started.

        Raises:
            httpx.HTTPError: the server does not answer.
        """
        if self._admission.closed:
            return []
        self._wake.polling()
        self._unsure = self.others_wait
        self._left_some = False
        self._wake.some_wait = bool(self._backlog)
        found = await self._api.scheduled(pool.name, self._queues, datetime.now(UTC) + AHEAD, self._page)
        waiting = [_Waiting(FlowRun.model_validate(each), each) for each in found]
        now = datetime.now(UTC)
        due = [each for each in waiting if _start_time(each.run) <= now]
        later = [_start_time(each.run) for each in waiting if _start_time(each.run) > now]
        self._due = min(later, default=None)
        running = self._admission.running
        self._backlog = deque(each for each in due if str(each.run.id) not in running)
        self._wake.some_wait = bool(self._backlog)
        _log.debug("poll: %d due, %d later, %d running", len(self._backlog), len(later), len(running))
        started = await self.take(pool)
        if started or len(found) < self._page or self._backlog:
            self._page = PAGE
        elif self._page < LONGEST_PAGE:
            # Those that fit may stand behind those that do not.
            self._page = LONGEST_PAGE
            self._wake.now()
        return started

    async def take(self, pool: WorkPool) -> list[FlowRun]:
        """Start what fits of the last poll's answer; runs that do not fit now are left to others."""
        started = []
        try:
            while self._backlog and not self._admission.closed and not self._admission.busy:
                waiting = self._backlog.popleft()
                if str(waiting.run.id) in self._admission.running:
                    continue
                answer = await self._admission.offer(pool, waiting.run, waiting.data)
                if isinstance(answer, Lease):
                    started.append(waiting.run)
                else:
                    self._left_some |= not answer.permanent
        finally:
            self._wake.some_wait = self._left_some or bool(self._backlog)
            self._unsure = False
            self._admission.let_go()
        return started


def _start_time(run: FlowRun) -> datetime:
    return run.next_scheduled_start_time or datetime.min.replace(tzinfo=UTC)
