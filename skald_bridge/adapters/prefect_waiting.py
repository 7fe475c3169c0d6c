"""What could hold a task back in Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from skald_bridge.adapters.prefect_api import PrefectApi
from skald_bridge.adapters.prefect_mapping import moment
from skald_bridge.adapters.prefect_types import layers_of
from skald_bridge.domain.errors import NotFound
from skald_bridge.domain.facts import Task
from skald_bridge.domain.queue import needs_of
from skald_bridge.domain.why import Pool, Waiting


class WaitingReader:
    """``Engine.waiting``."""

    def __init__(self, api: PrefectApi) -> None:
        self._api = api

    async def waiting(self, task: Task) -> Waiting:
        run = await self._api.call("GET", f"/flow_runs/{task.run}")
        pool = await self._pool(task.pool) if task.pool is not None else None
        queue_paused, queue_limit = False, None
        if pool is not None and task.queue is not None:
            queue = await self._api.call("GET", f"{_path(pool.name)}/queues/{quote(task.queue, safe='')}")
            queue_paused, queue_limit = bool(queue["is_paused"]), queue["concurrency_limit"]
        deployment_limit = None
        layers: tuple[Mapping[str, Any], ...] = ()
        if task.deployment_id is not None:
            deployment = await self._api.call("GET", f"/deployments/{task.deployment_id}")
            deployment_limit = (deployment.get("global_concurrency_limit") or {}).get("limit")
            layers = layers_of(deployment)
        due = moment(run.get("next_scheduled_start_time"))
        needs = needs_of(*layers, run.get("job_variables") or {})
        return Waiting(pool, due, queue_paused, queue_limit, deployment_limit, needs)

    async def _pool(self, name: str) -> Pool | None:
        """``None`` for one that is gone."""
        with suppress(NotFound):
            found = await self._api.call("GET", _path(name))
            return Pool(found["name"], found["type"], bool(found["is_paused"]), found["concurrency_limit"])
        return None


def _path(pool: str) -> str:
    return f"/work_pools/{quote(pool, safe='')}"
