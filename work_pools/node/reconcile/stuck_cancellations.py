"""Runs of the pool that are Cancelling with no process left to hear it: nobody but a node can end them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
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

from work_pools.node.context import NodeContext
from work_pools.node.runs.run_supervisor import RunSupervisor
from work_pools.node.server.run_api import claimant_named

PATIENCE = 3.0
"""Seconds that the node which has the run gets to answer."""


class StuckCancellations:
    """``running`` is this node's runs; those of other living nodes are left to them."""

    def __init__(
        self, client: PrefectClient, context: NodeContext, running: Mapping[str, RunSupervisor]
    ) -> None:
        self._client = client
        self._context = context
        self._running = running

    async def look(self, run_id: str) -> None:
        """A run was set Cancelling that is not this node's."""
        run = await self._context.api.read(UUID(run_id))
        if run is None or _holder(run) != self._context.name:
            await asyncio.sleep(PATIENCE)
            run = await self._context.api.read(UUID(run_id))
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
        holder = _holder(run) or await self._context.api.claimant(run.id)
        if holder is None or holder == self._context.name or holder not in living:
            await self._context.api.cancel(
                run.id, f"Cancelled by node {self._context.name}: nothing was running it."
            )

    async def _living(self, pool: str) -> frozenset[str]:
        workers = await self._client.read_workers_for_work_pool(pool)
        return frozenset(worker.name for worker in workers if worker.status == WorkerStatus.ONLINE)


def _holder(run: FlowRun) -> str | None:
    """The node that has, or last had, the run."""
    found = run.labels.get("skald.node")
    if isinstance(found, str):
        return found
    return claimant_named(run.state.message if run.state else None)
