"""What a node knows of its pool's deployments, kept until an event, the sweep or an error says otherwise."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
from prefect.client.schemas.objects import FlowRun, WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import DeploymentSort

from skald_work_pools.job import SkaldJobConfiguration, ignored_variables, pool_variables
from skald_work_pools.node.processes.launch_plan import LaunchPlan, plan
from skald_work_pools.pages import read_all
from skald_work_pools.retrying import insist

KEPT = 1000
"""Jobs whose configuration is remembered."""
_MISSING = object()
_REFERENCE = re.compile(r"{{\s*(prefect\.|\$)")
OLDEST = 600.0
"""Seconds after which a deployment is read again before it is used, whatever events said."""


@dataclass(frozen=True)
class RunConfiguration:
    """How one run is to be started: its configuration, made of pool, deployment and run."""

    configuration: SkaldJobConfiguration
    plan: LaunchPlan
    deployment: DeploymentResponse | None
    ignored: tuple[str, ...] = ()
    """Job variables that the pool does not have, in a sentence each."""


class Deployments:
    """For one event loop; ``cwd`` is what relative paths of deployments are relative to."""

    def __init__(self, client: PrefectClient, cwd: str) -> None:
        self._client = client
        self._cwd = cwd
        self._known: dict[UUID, tuple[float, DeploymentResponse]] = {}
        self._jobs: dict[tuple[Any, ...], RunConfiguration] = {}

    def forget(self, deployment_id: UUID | None = None) -> None:
        """Read it again before its next use; all of them without an id."""
        if deployment_id is None:
            self._known.clear()
        else:
            self._known.pop(deployment_id, None)
        self._jobs.clear()

    async def read_all(self, pool: WorkPool) -> list[RunConfiguration]:
        """The job of every deployment of the pool."""
        chosen = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool.name]))

        async def read(limit: int, offset: int) -> list[DeploymentResponse]:
            return await self._client.read_deployments(
                work_pool_filter=chosen, sort=DeploymentSort.CREATED_DESC, limit=limit, offset=offset
            )

        found = await insist(lambda: read_all(read), "deployments")
        now = time.monotonic()
        self._known = {deployment.id: (now, deployment) for deployment in found}
        self._jobs.clear()
        return [await self._make(pool, deployment, {}) for deployment in found]

    async def job(self, pool: WorkPool, run: FlowRun) -> RunConfiguration:
        """
        Raises:
            ObjectNotFound: the run's deployment was deleted.
            pydantic.ValidationError: a job variable has a wrong type.
        """
        deployment = await self._deployment(run.deployment_id) if run.deployment_id else None
        return await self._make(pool, deployment, run.job_variables or {})

    async def _deployment(self, deployment_id: UUID) -> DeploymentResponse:
        known = self._known.get(deployment_id)
        if known is None or time.monotonic() - known[0] > OLDEST:
            found = await insist(lambda: self._client.read_deployment(deployment_id), "deployment")
            if known is None or found.updated != known[1].updated:
                self._jobs.clear()
            known = self._known[deployment_id] = (time.monotonic(), found)
        return known[1]

    async def _make(
        self, pool: WorkPool, deployment: DeploymentResponse | None, own: Mapping[str, Any]
    ) -> RunConfiguration:
        key = (
            pool.updated,
            deployment and deployment.id,
            deployment and deployment.updated,
            json.dumps(own, sort_keys=True, default=str),
        )
        if (made := self._jobs.get(key)) is None:
            made = await self._build(pool, deployment, own)
            if not _names_values(pool, deployment, own):
                if len(self._jobs) > KEPT:
                    self._jobs.clear()
                self._jobs[key] = made
        return made

    async def _build(
        self, pool: WorkPool, deployment: DeploymentResponse | None, own: Mapping[str, Any]
    ) -> RunConfiguration:
        shared: dict[str, Any] = dict(deployment.job_variables or {}) if deployment else {}
        shared_env, own_env = shared.get("env") or {}, own.get("env") or {}
        changed = {name for name, value in own_env.items() if shared_env.get(name, _MISSING) != value}
        configuration = await self._configuration(pool, {**shared, **own, "env": {**shared_env, **own_env}})
        env = configuration.env
        if changed:
            env = (await self._configuration(pool, {**shared, "env": shared_env})).env
        how = plan(
            entrypoint=deployment.entrypoint if deployment else None,
            path=deployment.path if deployment else None,
            pull_steps=deployment.pull_steps if deployment else None,
            stored=bool(deployment and deployment.storage_document_id),
            env={**_identity(deployment), **env},
            own_env={name: configuration.env.get(name) for name in changed},
            cwd=self._cwd,
            start=configuration.start,
        )
        known = pool_variables(pool.base_job_template)
        return RunConfiguration(
            configuration, how, deployment, tuple(ignored_variables({**shared, **own}, known))
        )

    async def _configuration(self, pool: WorkPool, values: dict[str, Any]) -> SkaldJobConfiguration:
        made: SkaldJobConfiguration = await SkaldJobConfiguration.from_template_and_values(
            base_job_template=pool.base_job_template, values=values, client=self._client
        )
        return made


def _identity(deployment: DeploymentResponse | None) -> dict[str, str]:
    """What Prefect's process worker tells a process of its run's deployment."""
    if deployment is None:
        return {}
    return {
        "PREFECT__DEPLOYMENT_ID": str(deployment.id),
        "PREFECT__DEPLOYMENT_NAME": deployment.name,
        "PREFECT__FLOW_ID": str(deployment.flow_id),
        "PREFECT__FLOW_ENTRYPOINT": deployment.entrypoint or "",
    }


def _names_values(pool: WorkPool, deployment: DeploymentResponse | None, own: Mapping[str, Any]) -> bool:
    """Whether a job refers to variables or blocks of Prefect, whose values may be others for the next run."""
    given = (pool.base_job_template, deployment.job_variables if deployment else None, own)
    return _REFERENCE.search(json.dumps(given, default=str)) is not None
