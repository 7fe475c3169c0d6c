"""Task types as deployments of a node's pool."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import get_client

from skald_bridge.main import ensure_pool
from skald_bridge.modes.catalog import Type
from skald_bridge.modes.typefile import write
from skald_bridge.settings import Settings


async def deploy(types: Iterable[Type], pool: str, name: str, settings: Settings) -> dict[str, UUID]:
    """Make or renew one deployment ``TYPE/name`` on ``pool`` for each type; ids by type name.

    A task starts in this process's working folder, as it would under Skalds.

    Raises:
        Rejected: the pool is of another type.
        Unavailable: the API does not answer.
    """
    await ensure_pool(pool)
    retries = settings.task_worker_retry if settings.task_worker_retry >= 0 else None
    folder = settings.home.absolute() / "run" / "types"
    start_in = {"prefect.deployments.steps.set_working_directory": {"directory": str(Path.cwd())}}
    made: dict[str, UUID] = {}
    async with get_client() as client:
        for found in types:
            made[found.name] = await client.create_deployment(
                flow_id=await client.create_flow(found.flow),
                name=name,
                version=found.flow.version,
                description=found.flow.description,
                entrypoint=write(found, folder, retries),
                work_pool_name=pool,
                pull_steps=[start_in],
                parameter_openapi_schema=found.flow.parameters.model_dump_for_openapi(),
                enforce_parameter_schema=True,
            )
    return made
