"""Runs of the pool that have no process left: nobody but a node can end them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType, WorkerStatus, WorkPool

from work_pools.messages import TAKEN_BY
from work_pools.node import ending
from work_pools.node.api import AWAITING_RETRY
from work_pools.node.supervisor import Supervisor
from work_pools.node.workshop import Workshop

PATIENCE = 3.0
"""Seconds that the node which has the run gets to answer."""
_PAGE = 200
_CLAIMED = FlowRunFilterState.model_validate(
    {
        "operator": "or_",
        "type": {"any_": [StateType.PENDING, StateType.RUNNING, StateType.PAUSED]},
        "name": {"any_": [AWAITING_RETRY]},
    }
)
_log = logging.getLogger("skald.node.orphans")


class Orphans:
    """``running`` is this node's runs; those of other living nodes are left to them."""

    def __init__(self, client: PrefectClient, shop: Workshop, running: Mapping[str, Supervisor]) -> None:
        self._client = client
        self._shop = shop
        self._running = running

    async def inherit(self, pool: WorkPool) -> None:
        """End what an earlier life of this node left behind: its processes died with it.

        Raises:
            httpx.HTTPError: the server does not answer.
        """
        async for run in self._claimed(pool):
            if str(run.id) not in self._running and await self._claimant(run.id) == self._shop.name:
                await self._bury(run)

    async def look(self, run_id: str) -> None:
        """A run was set Cancelling that is not this node's."""
        run = await self._shop.api.read(UUID(run_id))
        if run is None or _holder(run) != self._shop.name:
            await asyncio.sleep(PATIENCE)
            run = await self._shop.api.read(UUID(run_id))
        if run is not None and run.work_pool_name is not None:
            await self._end(run, await self._living(run.work_pool_name))

    async def sweep(self, pool: WorkPool) -> None:
        """Raises ``httpx.HTTPError`` when the server does not answer."""
        cancelling = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLING]))
        found = await self._client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=cancelling),
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool.name])),
            limit=200,
        )
        strangers = [run for run in found if str(run.id) not in self._running]
        if strangers:
            living = await self._living(pool.name)
            for run in strangers:
                await self._end(run, living)

    async def _end(self, run: FlowRun, living: frozenset[str]) -> None:
        if run.state is None or not run.state.is_cancelling() or str(run.id) in self._running:
            return
        holder = _holder(run) or await self._claimant(run.id)
        if holder is None or holder == self._shop.name or holder not in living:
            await self._shop.api.cancel(
                run.id, f"Cancelled by node {self._shop.name}: nothing was running it."
            )

    async def _claimed(self, pool: WorkPool) -> AsyncIterator[FlowRun]:
        """Runs that some node has, or had when it died; pages may overlap, and miss what is claimed meanwhile."""
        named = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool.name]))
        found: list[FlowRun] = []
        while len(found) % _PAGE == 0:
            page = await self._client.read_flow_runs(
                flow_run_filter=FlowRunFilter(state=_CLAIMED),
                work_pool_filter=named,
                limit=_PAGE,
                offset=len(found),
            )
            if not page:
                break
            found += page
        for run in found:
            yield run

    async def _bury(self, run: FlowRun) -> None:
        """Unless this node has it after all: then its state has changed since, or it is among those running."""
        api, name = self._shop.api, self._shop.name
        now = await api.read(run.id)
        if now is None or now.state is None or now.state.id != run.state_id or str(run.id) in self._running:
            return
        retries = now.empirical_policy.retries or 0
        retried = await api.retried(run.id) if retries else 0
        outcome = ending.abandoned(
            now.state.type,
            now.state.name or "",
            name,
            in_process=now.empirical_policy.retry_type == "in_process",
            retried=retried,
            retries=retries,
        )
        match outcome:
            case ending.Reschedule(message):
                await api.reschedule(now, message)
            case ending.Suspend(message):
                await api.suspend(now, message)
            case ending.Crash(message, retry):
                state = await api.crash(run.id, message)
                if retry and state is not None and state.is_crashed():
                    await api.retry(now, now.empirical_policy.retry_delay or 0)
            case _:
                return
        _log.info("run %s had no process any more", run.id)
        self._shop.logs.say(str(run.id), f"node {name}: ended before this run did, and is back")

    async def _claimant(self, run_id: UUID) -> str | None:
        """Who claimed the run, by its states: its label follows a moment after."""
        states = await self._client.read_flow_run_states(run_id)
        latest_first = sorted(states, key=lambda state: state.timestamp, reverse=True)
        return next((name for state in latest_first if (name := _named(state.message))), None)

    async def _living(self, pool: str) -> frozenset[str]:
        workers = await self._client.read_workers_for_work_pool(pool)
        return frozenset(worker.name for worker in workers if worker.status == WorkerStatus.ONLINE)


def _holder(run: FlowRun) -> str | None:
    """The node that has, or last had, the run."""
    found = run.labels.get("skald.node")
    if isinstance(found, str):
        return found
    return _named(run.state.message if run.state else None)


def _named(message: str | None) -> str | None:
    return message.removeprefix(TAKEN_BY) if message and message.startswith(TAKEN_BY) else None
