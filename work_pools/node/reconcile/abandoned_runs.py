"""Runs that have no process, and a state as if they had: those of dead nodes, and what a late request left.

A request of a process may be carried out by a busy server after the process has ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType, WorkerStatus, WorkPool
from prefect.settings import get_current_settings

from work_pools.node.context import NodeContext
from work_pools.node.reconcile.dead_nodes import DeadNodes
from work_pools.node.runs import outcomes
from work_pools.node.runs.run_supervisor import RunSupervisor
from work_pools.node.server.run_api import AWAITING_RETRY, claimed

_PAGE = 200
_HEARTBEATS = 2
_NODE_LABEL = "skald.node"
_IN_PROCESS = "in_process"
_CLAIMED = FlowRunFilterState.model_validate(
    {
        "operator": "or_",
        "type": {"any_": [StateType.PENDING, StateType.RUNNING, StateType.PAUSED]},
        "name": {"any_": [AWAITING_RETRY]},
    }
)
_log = logging.getLogger("skald.node.abandoned")


class AbandonedRuns:
    """``running`` is this node's runs. Methods raise ``httpx.HTTPError`` when the server does not answer."""

    def __init__(
        self, client: PrefectClient, context: NodeContext, running: Mapping[str, RunSupervisor]
    ) -> None:
        self._client = client
        self._context = context
        self._running = running
        # Prefect calls a node offline after three heartbeats; two more are for one that was only held up.
        self._silence = DeadNodes(_HEARTBEATS * get_current_settings().worker.heartbeat_seconds)
        self._seen_to: frozenset[str] = frozenset()

    async def inherit(self, pool: WorkPool) -> None:
        """See to what an earlier life of this node left behind: its processes died with it."""
        await self._see_to(pool, frozenset({self._context.name}))

    async def sweep(self, pool: WorkPool) -> None:
        """See to runs of this node without a process, and to what nodes left behind that stay away.

        Of those that live, the first by name does the latter.
        """
        await self._see_to(pool, frozenset({self._context.name}), labelled=True)
        workers = await self._client.read_workers_for_work_pool(pool.name)
        living = frozenset(worker.name for worker in workers if worker.status == WorkerStatus.ONLINE)
        silent = frozenset(worker.name for worker in workers) - living
        given_up = self._silence.given_up(silent, time.monotonic())
        self._seen_to &= given_up
        if (dead := given_up - self._seen_to) and self._context.name == min(living, default=""):
            await self._see_to(pool, dead)
            self._seen_to |= dead

    async def _see_to(self, pool: WorkPool, nodes: frozenset[str], *, labelled: bool = False) -> None:
        """``labelled``: a run whose label names another node is his; it follows a claim by some seconds."""
        before = set(self._running)
        for run in await self._claimed(pool):
            if str(run.id) in before or str(run.id) in self._running:
                continue
            if labelled and run.labels.get(_NODE_LABEL, self._context.name) not in nodes:
                continue
            node, since = claimed(await self._context.api.states(run.id))
            if node in nodes:
                cancelled = any(state.is_cancelling() or state.is_cancelled() for state in since)
                await self._end(run, str(node), cancelled)

    async def _claimed(self, pool: WorkPool) -> list[FlowRun]:
        """Runs that some node has, or had when it died."""
        found: list[FlowRun] = []
        while True:
            page = await self._client.read_flow_runs(
                flow_run_filter=FlowRunFilter(state=_CLAIMED),
                work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool.name])),
                limit=_PAGE,
                offset=len(found),
            )
            found += page
            if len(page) < _PAGE:
                return found

    async def _end(self, run: FlowRun, node: str, cancelled: bool) -> None:
        api = self._context.api
        now = await api.read(run.id)
        if now is None or now.state is None or now.state.id != run.state_id:
            # This node claimed it and has ended it since it was asked for, or somebody else has.
            return
        retries = now.empirical_policy.retries or 0
        outcome = outcomes.abandoned(
            now.state.type,
            now.state.name or "",
            node,
            cancelled=cancelled,
            in_process=now.empirical_policy.retry_type == _IN_PROCESS,
            retried=await api.retried(run.id) if retries else 0,
            retries=retries,
        )
        match outcome:
            case outcomes.Cancel(message):
                await api.cancel(run.id, message)
            case outcomes.Reschedule(message):
                await api.reschedule(now, message)
            case outcomes.Suspend(message):
                await api.suspend(now, message)
            case outcomes.Crash(message, retry):
                state = await api.crash(run.id, message)
                if retry and state is not None and state.is_crashed():
                    await api.retry(now, now.empirical_policy.retry_delay or 0)
            case _:
                return
        _log.info("run %s: %s", run.id, outcome.message)
        self._context.logs.say(str(run.id), outcome.message, logging.WARNING)
