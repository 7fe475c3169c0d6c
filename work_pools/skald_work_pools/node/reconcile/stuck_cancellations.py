"""Runs of the pool that are Cancelling with no process left to hear it: nobody but a node can end them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable, Mapping
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType, WorkPool

from skald_work_pools.node.context import NodeContext
from skald_work_pools.node.reconcile.dead_nodes import living
from skald_work_pools.node.reconcile.holders import holder
from skald_work_pools.node.runs.run_supervisor import RunSupervisor
from skald_work_pools.node.server.run_api import claimed
from skald_work_pools.pages import workers_of

PATIENCE = 3.0
"""Seconds that the node which has the run gets to answer."""
CANCELLING = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLING]))


def is_nobodys(has_it: str | None, node: str, living: Container[str]) -> bool:
    """Whether no process can hear the cancel of a run that is not among the ``node``'s running ones."""
    return has_it is None or has_it == node or has_it not in living


class StuckCancellations:
    """``running`` is this node's runs, ``left`` those it had; ``leads`` tells whether it looks for the pool."""

    def __init__(
        self,
        client: PrefectClient,
        context: NodeContext,
        running: Mapping[str, RunSupervisor],
        left: Container[str],
        leads: Callable[[], bool],
    ) -> None:
        self._client = client
        self._context = context
        self._running = running
        self._left = left
        self._leads = leads

    async def look(self, run_id: str) -> None:
        """A run was set Cancelling that is not this node's."""
        if run_id not in self._left:
            if not self._leads():
                return
            await asyncio.sleep(PATIENCE)
        run = await self._context.api.read(UUID(run_id))
        if run is not None and run.work_pool_name is not None:
            await self._end([run], run.work_pool_name)

    async def sweep(self, pool: WorkPool) -> None:
        """End what is nobody's in all of the pool.

        Raises:
            httpx.HTTPError: the server does not answer.
        """
        await self._end(await self._context.api.read_pool(pool.name, CANCELLING), pool.name)

    async def _end(self, runs: Iterable[FlowRun], pool: str) -> None:
        strangers = [run for run in runs if self._is_unheard(run)]
        if not strangers:
            return
        alive = living(await workers_of(self._client, pool))
        for run in strangers:
            has_it = holder(run) or claimed(await self._context.api.states(run.id))[0]
            if is_nobodys(has_it, self._context.name, alive) and self._is_unheard(run):
                await self._context.api.cancel(
                    run.id, f"Cancelled by node {self._context.name}: nothing was running it."
                )

    def _is_unheard(self, run: FlowRun) -> bool:
        return run.state is not None and run.state.is_cancelling() and str(run.id) not in self._running
