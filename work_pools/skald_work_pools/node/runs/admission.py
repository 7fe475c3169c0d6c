"""Decides whether this node takes a run, and starts it: code loaded, needs leased, a supervisor of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from prefect.client.schemas.objects import FlowRun, WorkPool
from prefect.exceptions import ObjectNotFound
from pydantic import ValidationError

from skald_work_pools.gpu_shares import device_environment
from skald_work_pools.leases import Lease, Refusal
from skald_work_pools.messages import UpdateApplied, UpdateRejected
from skald_work_pools.needs import Needs
from skald_work_pools.node.context import NodeContext
from skald_work_pools.node.forked.loading import Loaded
from skald_work_pools.node.processes.codebases import LOAD_PATIENCE
from skald_work_pools.node.processes.launch_plan import Codebase
from skald_work_pools.node.processes.zygote_client import ZygoteGone
from skald_work_pools.node.runs.deployments import Deployments, RunConfiguration
from skald_work_pools.node.runs.device_ledger import DeviceLedger
from skald_work_pools.node.runs.outcomes import Ended
from skald_work_pools.node.runs.refusal_log import RefusalLog
from skald_work_pools.node.runs.run_supervisor import RunSupervisor

_log = logging.getLogger("skald.node.admission")


class Admission:
    """One node's. ``changed`` is called whenever a run that was refused may fit now.

    ``running`` are its supervisors by run id, which it fills; ``answered`` hears their answers to updates.
    """

    def __init__(
        self,
        context: NodeContext,
        deployments: Deployments,
        ledger: DeviceLedger,
        running: dict[str, RunSupervisor],
        answered: Callable[[RunSupervisor, UpdateApplied | UpdateRejected], None],
        changed: Callable[[], None],
    ) -> None:
        self.running = running
        self.left: dict[str, float] = {}
        """Runs that this node had, with the monotonic time of their end: a late request may bring one back."""
        self.closed = False
        self._context = context
        self._deployments = deployments
        self._ledger = ledger
        self._answered = answered
        self._changed = changed
        self._refusals = RefusalLog()
        self._lives: set[asyncio.Task[None]] = set()
        self._held: set[str] = set()
        self._starting = 0
        self._starts = max(4, 2 * len(os.sched_getaffinity(0)))

    @property
    def busy(self) -> bool:
        """Whether so many runs are on their way to user code that another would only hold them up."""
        return self._starting >= self._starts

    @property
    def starting(self) -> int:
        return self._starting

    async def offer(
        self, pool: WorkPool, run: FlowRun, data: dict[str, Any], *, keeps_place: bool = True
    ) -> Lease | Refusal:
        """Take the run, or say why not; ``data`` is the run as the API gave it.

        ``keeps_place``: while its code is being loaded, no other gets what it needs, until ``let_go``.
        """
        if self.closed:
            return Refusal("the node is stopping")
        if (mine := self.running.get(str(run.id))) is not None:
            return mine.lease
        try:
            job = await self._deployments.job(pool, run)
        except ObjectNotFound:
            self._context.aside(self._cancel_deleted(run))
            return Refusal("its deployment was deleted", permanent=True)
        except (ValidationError, ValueError) as error:
            return self._refused(run, Refusal(f"job variables: {_first(error)}", permanent=True))
        loaded = self._loaded(job)
        if loaded is None and job.plan.codebase is not None:
            if keeps_place:
                self._hold(run, job)
            return Refusal("its code is being loaded")
        return self._admit(pool, run, data, job, loaded)

    def let_go(self) -> None:
        """What was held for runs whose code is being loaded is free; they are offered again, in their order."""
        for run_id in self._held:
            self._ledger.ledger.withdraw(run_id)
        self._held.clear()

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

    def _loaded(self, job: RunConfiguration) -> Loaded | None:
        """What is known of the run's code; ``None`` where it is fetched for each run, or being loaded."""
        codebase = job.plan.codebase
        if codebase is None:
            return None
        if (version := self._context.codebases.ready(codebase)) is not None:
            return version.loaded
        if problem := self._context.codebases.problem(codebase, time.monotonic()):
            return Loaded(problem=problem)
        self._context.aside(self._load(codebase))
        return None

    async def _load(self, codebase: Codebase) -> None:
        asyncio.get_running_loop().call_later(LOAD_PATIENCE, self._changed)
        with suppress(ZygoteGone, OSError):
            await self._context.codebases.current(codebase)
        self._changed()

    async def _cancel_deleted(self, run: FlowRun) -> None:
        await self._context.api.cancel(run.id, f"Deployment {run.deployment_id} no longer exists.")

    def _hold(self, run: FlowRun, job: RunConfiguration) -> None:
        """Keep the run's place: what it needs, as far as that is known, does not go to one that comes after it."""
        run_id = str(run.id)
        with suppress(ValidationError):
            if isinstance(self._ledger.admit(run_id, job.configuration.needs(Needs())), Lease):
                self._held.add(run_id)

    def _admit(
        self, pool: WorkPool, run: FlowRun, data: dict[str, Any], job: RunConfiguration, loaded: Loaded | None
    ) -> Lease | Refusal:
        declared = loaded.task_type.needs if loaded and loaded.task_type else Needs()
        try:
            needs = job.configuration.needs(declared)
        except ValidationError as error:
            return self._refused(run, Refusal(f"job variables: {_first(error)}", permanent=True))
        lease = self._ledger.admit(str(run.id), needs)
        if isinstance(lease, Refusal):
            return self._refused(run, lease)
        self._refusals.forget(str(run.id))
        supervisor: RunSupervisor
        supervisor = RunSupervisor(
            self._context,
            run,
            data,
            job,
            loaded,
            lease,
            device_environment(lease, self._ledger.ledger.capacity.gpus) if self._ledger.has_gpus else {},
            lambda answer: self._answered(supervisor, answer),
            lambda session: self._ledger.started(str(run.id), session),
        )
        self.running[supervisor.id] = supervisor
        self._starting += 1
        self._context.calm.clear()
        life = asyncio.create_task(self._live(supervisor, pool.name))
        self._lives.add(life)
        life.add_done_callback(self._lives.discard)
        return lease

    def _refused(self, run: FlowRun, refusal: Refusal) -> Refusal:
        if self._refusals.worth_telling(str(run.id), refusal.reason, refusal.permanent, time.monotonic()):
            text = f"node {self._context.name}: {refusal.reason}"
            self._context.logs.say(str(run.id), text, logging.WARNING if refusal.permanent else logging.INFO)
        return refusal

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
                self._ledger.withdraw(supervisor.id)
                _log.debug("run %s was not taken: %s", supervisor.id, ended.why)
            else:
                self._ledger.release(supervisor.id)
            with suppress(asyncio.CancelledError):
                await started

    async def _started(self, supervisor: RunSupervisor) -> None:
        await supervisor.running.wait()
        self._starting -= 1
        if self._starting == 0:
            self._context.calm.set()
        self._changed()


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
