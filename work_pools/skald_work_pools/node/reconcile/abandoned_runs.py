"""Runs that have no process, and a state as if they had: those of dead nodes, and what a late request left.

A request of a process may be carried out by a busy server after the process has ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from uuid import UUID

from prefect.client.schemas.objects import FlowRun, WorkPool

from skald_work_pools.node.context import NodeContext
from skald_work_pools.node.reconcile.holders import (
    Judgement,
    is_in_process_retry,
    is_suspended,
    look_at,
    may_be_of,
    needs_process,
)
from skald_work_pools.node.runs import outcomes
from skald_work_pools.node.runs.run_supervisor import RunSupervisor
from skald_work_pools.node.server.run_api import LIVE, claimed

_log = logging.getLogger("skald.node.abandoned")


class AbandonedRuns:
    """``running`` is this node's runs, ``left`` those that it had, with the monotonic time of their end.

    Methods raise ``httpx.HTTPError`` when the server does not answer.
    """

    def __init__(
        self, context: NodeContext, running: Mapping[str, RunSupervisor], left: dict[str, float]
    ) -> None:
        self._context = context
        self._running = running
        self._left = left

    async def inherit(self, pool: WorkPool) -> None:
        """See to what an earlier life of this node left behind: its processes died with it."""
        await self.see_to(pool, frozenset({self._context.name}))

    async def see_to(self, pool: WorkPool, nodes: frozenset[str]) -> None:
        """See to what these nodes left behind, in all of the pool."""
        before = set(self._running)
        for run in await self._context.api.read_pool(pool.name, LIVE):
            if str(run.id) in before or str(run.id) in self._running or not may_be_of(run, nodes):
                continue
            if needs_process(run):
                await self._ask(run, nodes)
            elif is_suspended(run) and self._context.name in nodes:
                self._left.setdefault(str(run.id), time.monotonic())

    async def sweep(self) -> None:
        """See to those of this node's own runs that have no process any more."""
        asked = [UUID(run_id) for run_id in list(self._left) if run_id not in self._running]
        found = {str(run.id): run for run in await self._context.api.read_live(asked)}
        for run_id in map(str, asked):
            if run_id in self._running or run_id not in self._left:
                continue
            run = found.get(run_id)
            match look_at(run, self._context.name, time.monotonic() - self._left[run_id]):
                case Judgement.ASK:
                    assert run is not None
                    await self._ask(run, frozenset({self._context.name}))
                case Judgement.FORGET:
                    self._left.pop(run_id, None)

    async def _ask(self, run: FlowRun, nodes: frozenset[str]) -> None:
        """End the run if one of the nodes claimed it last."""
        node, since = claimed(await self._context.api.states(run.id))
        if node in nodes:
            cancelled = any(state.is_cancelling() or state.is_cancelled() for state in since)
            await self._end(run, str(node), cancelled)
        else:
            self._left.pop(str(run.id), None)

    async def _end(self, run: FlowRun, node: str, cancelled: bool) -> None:
        api = self._context.api
        now = await api.read(run.id)
        if now is None or now.state is None or now.state.id != run.state_id or str(run.id) in self._running:
            # This node claimed it and has ended it since it was asked for, or somebody else has.
            return
        retries = now.empirical_policy.retries or 0
        outcome = outcomes.abandoned(
            now.state.type,
            now.state.name or "",
            node,
            cancelled=cancelled,
            in_process=is_in_process_retry(now),
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
