"""Takes runs of the pool that fit: polls, admits, starts a supervisor for each, says once why it refused."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect.client.schemas.objects import FlowRun, WorkPool
from prefect.exceptions import ObjectNotFound
from pydantic import ValidationError

from work_pools.leases import Refusal
from work_pools.messages import Applied, Rejected
from work_pools.needs import Needs
from work_pools.node.context import NodeContext
from work_pools.node.forked.preload import Loaded
from work_pools.node.processes.launch_plan import Codebase
from work_pools.node.processes.zygote_client import ZygoteGone
from work_pools.node.runs.deployments import Deployments, Job
from work_pools.node.runs.device_ledger import DeviceLedger
from work_pools.node.runs.refusal_log import RefusalLog
from work_pools.node.runs.run_finalizer import Ended
from work_pools.node.runs.run_supervisor import RunSupervisor

PAGE, LONGEST_PAGE = 50, 200
"""Runs asked for at once, and when none of so many fits."""
AHEAD = timedelta(seconds=10)
"""Runs that are due this soon are asked for too, so that a poll can be made when they are."""
NUDGE = 0.5
"""Seconds after which a released lease leads to a poll when nobody is known to wait for it."""
BROKEN_FOR = 60.0
"""Seconds before code that could not be loaded is tried again."""
_log = logging.getLogger("skald.node.intake")


@dataclass(frozen=True)
class _Waiting:
    run: FlowRun
    told: dict[str, Any]


class Poller:
    """One node's; ``poll`` is called by one loop, never twice at once."""

    def __init__(
        self,
        context: NodeContext,
        deployments: Deployments,
        books: DeviceLedger,
        queues: tuple[str, ...],
        answered: Callable[[RunSupervisor, Applied | Rejected], None],
    ) -> None:
        self.running: dict[str, RunSupervisor] = {}
        self.left: dict[str, float] = {}
        """Runs that this node had, with the monotonic time of their end: a late request may bring one back."""
        self.closed = False
        self.wake = asyncio.Event()
        self._left_some = False
        self._page = PAGE
        self._nudge: asyncio.TimerHandle | None = None
        self._context = context
        self._deployments = deployments
        self._books = books
        self._queues = queues
        self._answered = answered
        self._refusals = RefusalLog()
        self._backlog: deque[_Waiting] = deque()
        self._broken: dict[Codebase, tuple[float, str]] = {}
        self._lives: set[asyncio.Task[None]] = set()
        self._starting = 0
        self._starts = max(4, 2 * len(os.sched_getaffinity(0)))

    @property
    def next_due(self) -> datetime | None:
        """When the next known run is due that is not due yet."""
        return self._due

    _due: datetime | None = None

    async def poll(self, pool: WorkPool) -> list[FlowRun]:
        """Ask Prefect what may start, and start what fits; returns the runs being started.

        Raises:
            httpx.HTTPError: the server does not answer.
        """
        if self.closed:
            return []
        if self._nudge is not None:
            self._nudge.cancel()
            self._nudge = None
        self._left_some = False
        now = datetime.now(UTC)
        told = await self._context.api.scheduled(pool.name, self._queues, now + AHEAD, self._page)
        waiting = [_Waiting(FlowRun.model_validate(each), each) for each in told]
        now = datetime.now(UTC)
        due = [each for each in waiting if _start_time(each.run) <= now]
        later = [_start_time(each.run) for each in waiting if _start_time(each.run) > now]
        self._due = min(later, default=None)
        self._backlog = deque(each for each in due if str(each.run.id) not in self.running)
        _log.debug("poll: %d due, %d later, %d running", len(self._backlog), len(later), len(self.running))
        started = await self.take(pool)
        if started or len(told) < self._page or self._backlog:
            self._page = PAGE
        elif self._page < LONGEST_PAGE:
            # Those that fit may stand behind those that do not.
            self._page = LONGEST_PAGE
            self.wake.set()
        return started

    async def take(self, pool: WorkPool) -> list[FlowRun]:
        """Start what fits of the last poll's answer; runs that do not fit now are left to others."""
        started = []
        while self._backlog and not self.closed:
            if self._starting >= self._starts:
                break
            waiting = self._backlog.popleft()
            if str(waiting.run.id) in self.running:
                continue
            job, loaded = await self._job(pool, waiting)
            if job is None:
                continue
            if self._admit(pool, waiting, job, loaded):
                started.append(waiting.run)
        return started

    def released(self) -> None:
        """A lease has ended: whoever waits for it can have it."""
        if self._left_some or self._backlog:
            self.wake.set()
        elif self._nudge is None:
            # Nobody is known to wait, but a limit of the pool may have hidden somebody.
            self._nudge = asyncio.get_running_loop().call_later(NUDGE, self.wake.set)

    @property
    def backlog(self) -> int:
        """Runs of the last poll that were not considered yet."""
        return len(self._backlog)

    async def drained(self, seconds: float) -> bool:
        """Whether all lives ended within ``seconds``."""
        if self._lives:
            await asyncio.wait(list(self._lives), timeout=seconds)
        return not self._lives

    async def cancel(self) -> None:
        """Give the lives up that did not end."""
        for life in self._lives:
            life.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)

    async def _job(self, pool: WorkPool, waiting: _Waiting) -> tuple[Job | None, Loaded | None]:
        run = waiting.run
        try:
            job = await self._deployments.job(pool, run)
        except ObjectNotFound:
            self._context.aside(self._cancel_deleted(run))
            return None, None
        except (ValidationError, ValueError) as error:
            self._refuse(run, Refusal(f"job variables: {_first(error)}", permanent=True))
            return None, None
        codebase = job.plan.codebase
        if codebase is None:
            return job, None
        since, problem = self._broken.get(codebase, (0.0, ""))
        if problem and time.monotonic() - since < BROKEN_FOR:
            return job, Loaded(problem=problem)
        if self._context.codebases.is_current(codebase, job.plan.entrypoint):
            return job, self._context.codebases.declared(codebase, job.plan.entrypoint)
        _log.debug("run %s waits for its code: %s", run.id, codebase.root)
        self._context.aside(self._load(codebase, job.plan.entrypoint))
        return None, None

    async def _load(self, codebase: Codebase, entrypoint: str) -> None:
        try:
            await self._context.codebases.current(codebase, entrypoint)
            self._broken.pop(codebase, None)
        except (ZygoteGone, OSError) as error:
            self._broken[codebase] = (time.monotonic(), f"loading its code ended the process: {error}")
        self.wake.set()

    async def _cancel_deleted(self, run: FlowRun) -> None:
        await self._context.api.cancel(run.id, f"Deployment {run.deployment_id} no longer exists.")

    def _admit(self, pool: WorkPool, waiting: _Waiting, job: Job, loaded: Loaded | None) -> bool:
        run = waiting.run
        declared = loaded.task_type.needs if loaded and loaded.task_type else Needs()
        try:
            needs = job.configuration.needs(declared)
        except ValidationError as error:
            self._refuse(run, Refusal(f"job variables: {_first(error)}", permanent=True))
            return False
        lease = self._books.admit(str(run.id), needs)
        if isinstance(lease, Refusal):
            self._refuse(run, lease)
            return False
        self._refusals.forget(str(run.id))
        supervisor: RunSupervisor
        supervisor = RunSupervisor(
            self._context,
            run,
            waiting.told,
            job,
            loaded,
            lease,
            self._books.has_gpus,
            lambda answer: self._answered(supervisor, answer),
            lambda session: self._books.started(str(run.id), session),
        )
        self.running[supervisor.id] = supervisor
        self._starting += 1
        self._context.calm.clear()
        life = asyncio.create_task(self._live(supervisor, pool.name))
        self._lives.add(life)
        life.add_done_callback(self._lives.discard)
        return True

    def _refuse(self, run: FlowRun, refusal: Refusal) -> None:
        self._left_some |= not refusal.permanent
        if self._refusals.worth_telling(str(run.id), refusal.reason, refusal.permanent, time.monotonic()):
            text = f"node {self._context.name}: {refusal.reason}"
            self._context.logs.say(str(run.id), text, logging.WARNING if refusal.permanent else logging.INFO)

    async def _live(self, supervisor: RunSupervisor, pool: str) -> None:
        started = asyncio.create_task(self._started(supervisor))
        ended = Ended(why="it failed on this node")
        try:
            ended = await supervisor.live(pool)
        except Exception:
            _log.exception("run %s failed on this node", supervisor.id)
        finally:
            if supervisor.claimed:
                self.left[supervisor.id] = time.monotonic()
            self.running.pop(supervisor.id, None)
            if ended.end is None:
                self._books.withdraw(supervisor.id)
                _log.debug("run %s was not taken: %s", supervisor.id, ended.why)
            else:
                self._books.release(supervisor.id)
            with suppress(asyncio.CancelledError):
                await started

    async def _started(self, supervisor: RunSupervisor) -> None:
        await supervisor.running.wait()
        self._starting -= 1
        if self._backlog:
            self.wake.set()
        elif self._starting == 0:
            self._context.calm.set()


def _start_time(run: FlowRun) -> datetime:
    return run.next_scheduled_start_time or datetime.min.replace(tzinfo=UTC)


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
