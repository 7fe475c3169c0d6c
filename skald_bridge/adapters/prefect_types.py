"""Task types that are deployed, read from Prefect's deployments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from skald_bridge.adapters.prefect_api import PrefectApi
from skald_bridge.domain.task_types import DeployedType, deployed_type
from skald_work_pools.needs import Needs

_NEEDS = tuple(Needs.model_fields)


class TaskTypeReader:
    """Deployments by the flow that they deploy."""

    def __init__(self, api: PrefectApi) -> None:
        self._api = api

    async def task_types(self, name: str | None = None) -> list[DeployedType]:
        """Sorted by name; only the one of that name."""
        wanted = {"flows": {"name": {"any_": [name]}}} if name is not None else {}
        rows = await self._api.pages("/deployments/filter", {**wanted, "sort": "CREATED_DESC"})
        names = await self._api.flow_names(row["flow_id"] for row in rows)
        by_flow: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            by_flow[names[row["flow_id"]]].append(row)
        return [deployed_type(flow, by_flow[flow], _NEEDS) for flow in sorted(by_flow)]


def layers_of(deployment: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What the deployment's code declares to need, and the job variables over it."""
    return deployed_type("", [deployment], _NEEDS).needs, deployment.get("job_variables") or {}
