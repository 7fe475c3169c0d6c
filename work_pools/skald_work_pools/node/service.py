"""A node from start to stop: its parts, its loops, and the order in which they end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, WorkPool

from skald_work_pools import host
from skald_work_pools.devices import Capacity
from skald_work_pools.first_of import first_of
from skald_work_pools.node.context import NodeContext
from skald_work_pools.node.link.linked import Linked
from skald_work_pools.node.lock import NameTaken
from skald_work_pools.node.loops import Loops
from skald_work_pools.node.processes.codebases import Codebases
from skald_work_pools.node.processes.stems import Stems
from skald_work_pools.node.reconcile.abandoned_runs import AbandonedRuns
from skald_work_pools.node.reconcile.attachment_updates import AttachmentUpdates
from skald_work_pools.node.reconcile.event_router import EventRouter
from skald_work_pools.node.reconcile.pool_watch import PoolWatch
from skald_work_pools.node.reconcile.run_heartbeats import RunHeartbeats
from skald_work_pools.node.reconcile.state_reconciler import StateReconciler
from skald_work_pools.node.reconcile.stopped_processes import StoppedProcesses
from skald_work_pools.node.reconcile.stuck_cancellations import StuckCancellations
from skald_work_pools.node.runs.admission import Admission
from skald_work_pools.node.runs.deployments import Deployments
from skald_work_pools.node.runs.device_ledger import DeviceLedger
from skald_work_pools.node.runs.gpu_watch import GpuWatch
from skald_work_pools.node.runs.poll_wake import PollWake
from skald_work_pools.node.runs.poller import Poller
from skald_work_pools.node.runs.run_supervisor import RunSupervisor
from skald_work_pools.node.server.announcements import Announcer
from skald_work_pools.node.server.claim_keeper import ClaimKeeper
from skald_work_pools.node.server.event_api import EventApi
from skald_work_pools.node.server.event_emitter import EventEmitter
from skald_work_pools.node.server.event_listener import EventListener
from skald_work_pools.node.server.run_api import RunApi
from skald_work_pools.node.server.run_logs import RunLogs
from skald_work_pools.node.settings import NodeSettings
from skald_work_pools.nvml import Nvml
from skald_work_pools.retrying import LOUD, Backoff, insist

IDLE_POLL = 20.0
"""Seconds between polls while events arrive and nothing happens."""
BUSY_POLL = 1.0
"""Seconds for which a poll's answer is used while runs of it still wait to be started."""
_log = logging.getLogger("skald.node")


class NodeService:
    """Runs on the loop and client of its worker; ``pool`` is asked for whenever the pool may have changed."""

    def __init__(
        self,
        *,
        client: PrefectClient,
        name: str,
        claim: ClaimKeeper,
        pool: Callable[[], WorkPool],
        queues: tuple[str, ...],
        limit: int | None,
        settings: NodeSettings,
        query_seconds: float,
        heartbeat_seconds: int | None,
        child_env: dict[str, str | None],
        polled: Callable[[], None],
        superseded: Callable[[], None],
    ) -> None:
        self._client = client
        self._claim = claim
        self._pool = pool
        self._queues = queues
        self._settings = settings
        self._query_seconds = query_seconds
        self._nvml = Nvml.from_environment()
        self.capacity = Capacity(host.cpus(), host.memory(), self._nvml.gpus, settings.tags, limit)
        api = RunApi(client, name)
        stems = Stems()
        logs = RunLogs(self._post_logs)
        self._context = NodeContext(
            name=name,
            api=api,
            logs=logs,
            emitter=EventEmitter(EventApi(client), logs.say),
            codebases=Codebases(
                stems, settings.spares, settings.warm_memory or self.capacity.memory // 4, child_env
            ),
            stems=stems,
            cancel_grace=settings.cancel_grace,
        )
        self._wake = PollWake()
        self._ledger = DeviceLedger(self.capacity, self._nvml, self._wake.released)
        self._deployments = Deployments(client, str(Path.cwd()))
        running: dict[str, RunSupervisor] = {}
        updates = AttachmentUpdates(self._context, running, str(pool().id))
        self.admission = Admission(
            self._context, self._deployments, self._ledger, running, updates.answered, self._wake.changed
        )
        self._gpus = GpuWatch(self._ledger, running, settings.gpu_overuse)
        self._poller = Poller(api, self.admission, queues, self._wake)
        left = self.admission.left
        self._overseer = StateReconciler(self._context, running)
        self._orphans = StuckCancellations(client, self._context, running, left, lambda: self._watch.leads)
        self._abandoned = AbandonedRuns(self._context, running, left)
        self._watch = PoolWatch(client, claim, self._abandoned.see_to, self._orphans.sweep)
        self._stillness = StoppedProcesses(self._context, running)
        self._pulses = RunHeartbeats(client, self._context, running, heartbeat_seconds)
        hearing = EventRouter(
            self._context,
            self._deployments,
            self._overseer,
            self._orphans,
            updates,
            wake=self.wake,
            preload=self._preload,
            has=running.__contains__,
        )
        self._listener = EventListener(hearing.hear, hearing.connected, self._context.emitter.doubt)
        self._announcer = Announcer(claim, self.capacity, self._context.emitter.emit)
        room = (self._ledger, self.admission, self._poller)
        self._link = Linked(
            self._context, settings, claim.announcement, pool, queues, *room, announce=self._announce
        )
        self.loaded = asyncio.Event()
        self._polled = -IDLE_POLL
        self._looked = asyncio.Event()
        self._told_polled = polled
        self._superseded = superseded
        self._loops = Loops()

    def wake(self) -> None:
        """Look for work at once."""
        self._wake.now()

    async def start(self) -> None:
        """Bring everything up; returns once the node can take runs."""
        pool = self._pool()
        await self._context.stems.default()
        loops = (
            self._context.logs.run,
            self._context.emitter.run,
            self._ledger.run,
            self._gpus.run,
            self._pulses.beat,
            self._pulses.renew,
            self._stillness.watch,
        )
        for run in loops:
            self._loops.start(run)
        await insist(self._learn, "default result storage")
        self._context.aside(insist(lambda: self._abandoned.inherit(pool), "runs of an earlier life"))
        self._context.aside(insist(lambda: self._watch.sweep(pool), "the pool's lead"))
        self._loops.start(self._until_superseded)
        self._loops.start(lambda: self._listener.run(pool.id))
        self._loops.start(self._preload)
        self._loops.start(self._link.run)
        self._loops.start(self._upkeep)

    async def poll(self) -> list[FlowRun]:
        """Look for work and at the node's own runs; raises ``httpx.HTTPError`` when the server is away."""
        if self._claim.is_doubtful:
            await self._claim.check()
        self._polled = time.monotonic()
        self._told_polled()
        self._looked.set()
        return await self._poller.poll(self._pool())

    async def serve(self) -> None:
        """Poll when there is a reason to, until cancelled."""
        backoff = Backoff(first=0.2, most=5.0)
        while True:
            await self._wait()
            self._wake.asked.clear()
            try:
                if self._poller.backlog and time.monotonic() - self._polled < BUSY_POLL:
                    await self._poller.take(self._pool())
                else:
                    await self.poll()
                    backoff.reset()
                self._link.changed()
            except httpx.HTTPError as error:
                pause = backoff.failed()
                if backoff.failures == LOUD:
                    _log.warning("the Prefect server does not answer: %s", error or type(error).__name__)
                await asyncio.sleep(pause)
                self.wake()
            except NameTaken:
                return
            except Exception:
                _log.exception("a poll failed; it is made again")
                await asyncio.sleep(1)
                self.wake()

    async def stop(self, grace: float, hurry: asyncio.Event) -> None:
        """Take nothing new, give tasks ``grace`` seconds, hand the rest back, and end in order."""
        self.admission.closed = True
        self._link.changed()
        running = list(self.admission.running.values())
        if running:
            _log.info("waiting up to %g s for %d tasks", grace, len(running))
            await first_of(self.admission.drained(grace), hurry.wait())
        for supervisor in list(self.admission.running.values()):
            supervisor.hand_back()
        await self.admission.drained(self._settings.cancel_grace + 5)
        async with AsyncExitStack() as stack:
            stack.callback(self._nvml.close)
            stack.push_async_callback(self._loops.cancel)
            stack.push_async_callback(self._context.stems.close)
            stack.push_async_callback(self._context.codebases.close)
            stack.push_async_callback(self._context.logs.flush)
            stack.push_async_callback(self._context.emitter.flush, 5.0)
            stack.push_async_callback(self._within(5, self._announcer.remove))
            stack.push_async_callback(self._within(5, self._watch.release))
            await self.admission.cancel()
            await self._context.finish(10.0)

    def _within(self, seconds: float, do: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def bounded() -> None:
            try:
                await asyncio.wait_for(do(), seconds)
            except (TimeoutError, httpx.HTTPError) as error:
                _log.warning("not done before the end: %s", error or type(error).__name__)

        return bounded

    def _interval(self) -> float:
        """Seconds between looks that nothing gave reason for."""
        return IDLE_POLL if self._listener.connected else self._query_seconds

    async def _wait(self) -> None:
        seconds = self._interval() - (time.monotonic() - self._polled)
        if (due := self._poller.next_due) is not None:
            seconds = min(seconds, (due - datetime.now(UTC)).total_seconds())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.asked.wait(), max(0.0, seconds))

    async def _upkeep(self) -> None:
        """The sweep: what events may have missed. It goes with a poll: an idle node looks once, not twice."""
        while True:
            await asyncio.sleep(0.75 * self._interval())
            self._looked.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._looked.wait(), self._interval())
            try:
                await self._overseer.sweep()
                await self._abandoned.sweep()
                await self._watch.sweep(self._pool())
                await self._learn()
                await self._context.codebases.refresh()
                await self._announce()
            except NameTaken:
                return
            except httpx.HTTPError as error:
                _log.debug("sweep: %s", error)

    async def _until_superseded(self) -> None:
        """Another node has the name: what runs here is taken for dead there, and must not run on."""
        reason = await self._claim.lost()
        _log.error("%s", reason)
        self.admission.closed = True
        for supervisor in list(self.admission.running.values()):
            supervisor.fence(reason)
        self._superseded()

    async def _preload(self) -> None:
        """Load the pool's flows before their first run."""
        await insist(self._announce, "announcement")
        jobs = await self._deployments.read_all(self._pool())
        await self._context.codebases.load_all([job.plan.codebase for job in jobs if job.plan.codebase])
        await insist(self._announce, "announcement")
        self.loaded.set()
        self.wake()

    async def _announce(self) -> None:
        known = self._context.codebases.known
        types = [each.loaded.task_type for each in known if each.loaded.task_type]
        plain = {each.loaded.name for each in known if not each.loaded.task_type}
        names = frozenset(filter(None, plain | {each.name for each in types}))
        starts = {str(each.codebase): str(each.choice) for each in known}
        needs = {each.name: found for each in types if (found := each.needs.not_zero())}
        self._link.loaded(names, needs)
        await self._announcer.write(names, starts, needs, linked=self._link.connected)

    async def _learn(self) -> None:
        """Server settings that children need and would each ask for."""
        self._context.result_storage = await self._context.api.default_result_storage()

    async def _post_logs(self, records: Sequence[dict[str, Any]]) -> None:
        await self._client.create_logs(records)
