"""What engines do for themselves elsewhere: heartbeats of runs, and concurrency leases of those that are frozen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import httpx
import prefect
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.events import Event

from skald_work_pools.messages import DEPLOYMENT_RESOURCE, FLOW_RESOURCE, RESOURCE_NAME, RUN_HEARTBEAT
from skald_work_pools.node.context import NodeContext
from skald_work_pools.node.runs.run_supervisor import RunSupervisor
from skald_work_pools.node.server.event_resources import related, run_resource, tags_related

SHORTEST = 30
RENEW_EVERY, RENEW_FOR = 60.0, 300.0
_log = logging.getLogger("skald.node.pulses")


class RunHeartbeats:
    """``every`` is Prefect's setting, seconds between a run's heartbeats; ``None`` is off."""

    def __init__(
        self,
        client: PrefectClient,
        context: NodeContext,
        running: Mapping[str, RunSupervisor],
        every: int | None,
    ) -> None:
        self._client = client
        self._context = context
        self._running = running
        self._every = every

    async def beat(self) -> None:
        """Emit heartbeats for ever."""
        if self._every is None:
            return
        while True:
            await asyncio.sleep(max(self._every, SHORTEST))
            for supervisor in list(self._running.values()):
                if supervisor.running.is_set() and not supervisor.over:
                    self._context.emitter.emit(heartbeat(supervisor.run))

    async def renew(self) -> None:
        """Keep the deployments' concurrency slots of frozen runs, for ever: their processes cannot."""
        while True:
            await asyncio.sleep(RENEW_EVERY)
            for supervisor in list(self._running.values()):
                if supervisor.frozen and supervisor.concurrency_lease is not None:
                    try:
                        await self._client.renew_concurrency_lease(supervisor.concurrency_lease, RENEW_FOR)
                    except httpx.HTTPError as error:
                        _log.debug("lease of run %s: %s", supervisor.id, error)


def heartbeat(run: FlowRun) -> Event:
    """As Prefect's own engines emit it."""
    to = [related("flow", f"{FLOW_RESOURCE}{run.flow_id}")]
    if run.deployment_id is not None:
        to.append(related("deployment", f"{DEPLOYMENT_RESOURCE}{run.deployment_id}"))
    to += tags_related(run.tags)
    resource = run_resource(str(run.id), **{RESOURCE_NAME: run.name, "prefect.version": prefect.__version__})
    return Event(event=RUN_HEARTBEAT, resource=resource, related=to)
