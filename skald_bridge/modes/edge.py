"""edge: every entry of the file is a task on this node; persistent ones are started again when they end.

A task that an earlier edge of this name left behind, such as one rescheduled when its node was stopped, is
taken over instead of being started beside it, as long as its entry is unchanged.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.objects import StateType as PrefectStateType
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter
from prefect.states import Cancelled, Cancelling

from skald_bridge.authoring.workers import TASK_ID_LABEL
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.installation.supervisor import Supervisor
from skald_bridge.modes.deploying import deploy
from skald_bridge.modes.jobs import CheckedEntry
from skald_bridge.modes.node import node, node_name, tell
from skald_bridge.modes.policy import Track, ended, exit_code
from skald_bridge.modes.server import prefect_api
from skald_bridge.modes.stopping import StopSignal, stop_on_signals
from skald_bridge.settings import Settings
from skald_work_pools.messages import DEPLOYMENT_RESOURCE, RUN_RESOURCE
from skald_work_pools.pages import runs_where, runs_with_ids
from skald_work_pools.retrying import unanswered

ENTRY_LABEL = "skald.entry"
"""Flow-run label: what the entry said when its task was created."""
SWEEP = 10.0
_log = logging.getLogger("skald.modes")
_LIVE = [state for state in PrefectStateType if not StateType(state.value).terminal]


def edge_pool(settings: Settings) -> str:
    """The pool that only this node serves, unless the settings name one."""
    return settings.pool if "pool" in settings.model_fields_set else f"edge-{node_name(settings)}"


def run_edge(settings: Settings, jobs: Sequence[CheckedEntry]) -> int:
    """Run until every entry has ended for good, or until a signal.

    Returns 1 when an entry failed for good, else 0.

    Raises:
        SkaldError: no server, or the node does not stay up.
    """
    pool, name = edge_pool(settings), node_name(settings)
    types = {job.type.name: job.type for job in jobs}
    with stop_on_signals() as stop, prefect_api(settings, tell) as url:
        deployments = asyncio.run(deploy(types.values(), pool, f"edge-{name}", settings))
        with node(settings, url, pool, stop) as running:
            tracks = asyncio.run(_Edge(jobs, deployments, pool, running).run(stop))
    return exit_code(tracks)


class _Edge:
    def __init__(
        self, jobs: Sequence[CheckedEntry], deployments: dict[str, UUID], pool: str, running: Supervisor
    ) -> None:
        self._node = running
        self._jobs = {job.entry.id: job for job in jobs}
        self._deployments = deployments
        self._pool = pool
        self._tracks = {job.entry.id: Track(job.entry.id, job.entry.is_persistent) for job in jobs}
        self._wake = asyncio.Event()
        self._life = uuid4().hex

    async def run(self, stop: StopSignal) -> list[Track]:
        loop = asyncio.get_running_loop()
        stop.on_stop(lambda: _call(loop, self._wake.set))
        keeping = asyncio.create_task(asyncio.to_thread(self._node.wait))
        keeping.add_done_callback(lambda _: self._wake.set())
        hearing = asyncio.create_task(self._hear())
        try:
            async with get_client() as client:
                await self._take_over(client)
                while not stop.asked and not keeping.done() and self._unfinished():
                    self._wake.clear()
                    await self._step(client)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), self._pause())
        finally:
            hearing.cancel()
            if not stop.asked:  # a second request would cut the grace short
                self._node.request_stop()
            await keeping
        return list(self._tracks.values())

    def _unfinished(self) -> bool:
        return any(track.result is None for track in self._tracks.values())

    def _pause(self) -> float:
        """Seconds to the next entry that is due, at most a sweep."""
        due = [track.due for track in self._tracks.values() if track.due is not None]
        return max(0.05, min([SWEEP, *(at - time.monotonic() for at in due)])) if self._unfinished() else 0.05

    async def _step(self, client: PrefectClient) -> None:
        try:
            await self._look(client)
            for track in list(self._tracks.values()):
                if track.due is not None and track.due <= time.monotonic():
                    await self._try_start(client, track)
        except httpx.HTTPError as error:
            if not unanswered(error):
                raise
            _log.warning("Prefect does not answer; the tasks run on, the next look is in %g s", SWEEP)
            _log.debug("because", exc_info=True)

    async def _look(self, client: PrefectClient) -> None:
        by_run = {track.run: track for track in self._tracks.values() if track.run is not None}
        found = {str(run.id): run for run in await runs_with_ids(client, map(UUID, by_run))}
        for run_id, track in by_run.items():
            run = found.get(run_id)
            if run is None:
                self._end(track, StateType.CANCELLED, "deleted")
                continue
            state = StateType(run.state_type.value) if run.state_type else StateType.SCHEDULED
            if state.terminal:
                self._end(track, state, run.state_name or state.value)

    def _end(self, track: Track, state: StateType, name: str) -> None:
        track = self._tracks[track.id] = ended(track, state, time.monotonic())
        again = f", starts again in {track.due - time.monotonic():.0f} s" if track.due else ""
        _log.info("task %s ended: %s%s", track.id, name, again)

    async def _try_start(self, client: PrefectClient, track: Track) -> None:
        """An entry that Prefect refuses is set aside; the others go on."""
        try:
            await self._start(client, track)
        except Exception as error:
            if isinstance(error, httpx.HTTPError) and unanswered(error):
                raise
            _log.error("task %s can't be started: %s", track.id, error)
            self._end(track, StateType.FAILED, "refused")

    async def _start(self, client: PrefectClient, track: Track) -> None:
        job = self._jobs[track.id]
        run = await client.create_flow_run_from_deployment(
            self._deployments[job.type.name],
            name=track.id,
            parameters=job.parameters(),
            labels={TASK_ID_LABEL: track.id, ENTRY_LABEL: _digest(job)},
            idempotency_key=f"{self._life}:{track.id}:{track.runs}",
        )
        self._tracks[track.id] = track.started(str(run.id), time.monotonic())
        _log.info("task %s (%s) is flow run %s", track.id, job.type.name, run.id)

    async def _take_over(self, client: PrefectClient) -> None:
        live = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_LIVE)))
        for run in await runs_where(client, live, self._pool):
            key = str((run.labels or {}).get(TASK_ID_LABEL, ""))
            track = self._tracks.get(key)
            if track is None or track.run is not None:
                continue
            if (run.labels or {}).get(ENTRY_LABEL) == _digest(self._jobs[key]):
                self._tracks[key] = track.started(str(run.id), time.monotonic())
                _log.info("task %s goes on as flow run %s", key, run.id)
            else:
                await _cancel(client, run)
                _log.info("task %s of an older file is cancelled: flow run %s", key, run.id)

    async def _hear(self) -> None:
        """Wake at every state of our runs; events are hints, the sweep makes up for lost ones."""
        ours = EventFilter(
            event=EventNameFilter(prefix=[RUN_RESOURCE]),
            any_resource=EventAnyResourceFilter(
                id=[f"{DEPLOYMENT_RESOURCE}{deployment}" for deployment in self._deployments.values()]
            ),
        )
        while True:
            try:
                async with get_events_subscriber(ours, reconnect_on_clean_close=True) as events:
                    async for _ in events:
                        self._wake.set()
            except Exception as error:
                # Whatever it is, the sweep finds what the events would have told.
                _log.debug("no event stream: %s", error or type(error).__name__)
            await asyncio.sleep(SWEEP)


async def _cancel(client: PrefectClient, run: FlowRun) -> None:
    waiting = run.state is None or run.state.is_scheduled()
    await client.set_flow_run_state(run.id, Cancelled() if waiting else Cancelling())


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function)


def _digest(job: CheckedEntry) -> str:
    said: dict[str, Any] = {"class": job.type.name, "parameters": job.parameters()}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
