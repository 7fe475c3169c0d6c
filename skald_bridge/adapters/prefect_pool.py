"""Work pools: of type `skald`, made where they are missing; of type `kubernetes`, made or changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import WorkPool
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import get_current_settings

from skald_bridge.adapters.prefect_api import translated
from skald_bridge.adapters.prefect_client import plainly
from skald_bridge.adapters.prefect_reading import POOL_TYPE
from skald_bridge.domain.errors import Rejected
from skald_work_pools.kubernetes_job import POOL_TYPE as KUBERNETES
from skald_work_pools.kubernetes_pool import KubernetesPool, base_job_template, changes


async def ensure_pool(name: str) -> bool:
    """Create the pool where it is missing; returns whether it was.

    Raises:
        Rejected: a pool of that name has another type.
        Unavailable: the API does not answer.
    """
    async with _client() as client:
        found = await _read_or_create(client, name)
    if found is not None and found.type != POOL_TYPE:
        raise Rejected(
            f"The work pool {name} has the type {found.type}, not {POOL_TYPE}.",
            remedy=f"Name another pool with --pool; or delete it, prefect work-pool delete {name}, and it is made.",
        )
    return found is None


async def ensure_pools(names: Iterable[str]) -> list[str]:
    """Create those that are missing and return their names; the types of the others do not matter.

    Raises:
        Unavailable: the API does not answer.
    """
    async with _client() as client:
        return [name for name in names if await _read_or_create(client, name) is None]


async def base_job_templates(names: Iterable[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Types and base job templates of the pools.

    Raises:
        Unavailable: the API does not answer.
    """
    async with _client() as client:
        pools = [await client.read_work_pool(name) for name in names]
    return {pool.name: (pool.type, pool.base_job_template) for pool in pools}


async def save_kubernetes_pool(name: str, pool: KubernetesPool) -> list[str] | None:
    """Create the pool, or let it have this template; returns what changed, a line each, ``None`` for a new one.

    Raises:
        Rejected: a pool of that name has another type.
        Unavailable: the API does not answer.
    """
    template = base_job_template(pool)
    async with _client() as client:
        try:
            found = await client.read_work_pool(name)
        except ObjectNotFound:
            await client.create_work_pool(
                WorkPoolCreate(name=name, type=KUBERNETES, base_job_template=template)
            )
            return None
        if found.type != KUBERNETES:
            raise Rejected(
                f"The work pool {name} has the type {found.type}, not {KUBERNETES}.",
                remedy=f"Name another; or delete it, prefect work-pool delete {name}, and it is made.",
            )
        changed = changes(found.base_job_template, template)
        if changed:
            await client.update_work_pool(name, WorkPoolUpdate(base_job_template=template))
        return changed


@asynccontextmanager
async def _client() -> AsyncIterator[PrefectClient]:
    """Prefect's own, whose errors are told in this product's words."""
    try:
        async with get_client() as client:
            yield client
    except Exception as error:
        raise translated(plainly(error), str(get_current_settings().api.url)) from error


async def _read_or_create(client: PrefectClient, name: str) -> WorkPool | None:
    """The pool as it was; ``None`` when it has just been made."""
    from skald_work_pools.worker import SkaldWorker

    try:
        return await client.read_work_pool(name)
    except ObjectNotFound:
        template = SkaldWorker.get_default_base_job_template()
        try:
            await client.create_work_pool(
                WorkPoolCreate(name=name, type=POOL_TYPE, base_job_template=template)
            )
        except ObjectAlreadyExists:
            return await client.read_work_pool(name)
        return None
