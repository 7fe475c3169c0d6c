"""Work pools of type `skald`: made where missing, and read for `skald why`."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import WorkPool
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from skald_bridge.adapters.prefect_api import translated
from skald_bridge.adapters.prefect_reading import POOL_TYPE
from skald_bridge.domain.errors import Rejected
from skald_bridge.domain.facts import Task
from skald_bridge.domain.why import Pool, Waiting
from skald_work_pools.job import pool_variables


async def ensure_pool(name: str) -> bool:
    """Create the pool where it is missing; returns whether it was.

    Raises:
        Rejected: a pool of that name has another type.
        Unavailable: the API does not answer.
    """
    try:
        async with get_client() as client:
            found = await _read_or_create(client, name)
    except Exception as error:
        raise translated(error) from error
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
    try:
        async with get_client() as client:
            return [name for name in names if await _read_or_create(client, name) is None]
    except Exception as error:
        raise translated(error) from error


async def job_variables(names: Iterable[str]) -> dict[str, list[str]]:
    """The job variables of those pools that are of type skald.

    Raises:
        Unavailable: the API does not answer.
    """
    try:
        async with get_client() as client:
            pools = [await client.read_work_pool(name) for name in names]
    except Exception as error:
        raise translated(error) from error
    return {pool.name: pool_variables(pool.base_job_template) for pool in pools if pool.type == POOL_TYPE}


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


async def waiting(task: Task) -> Waiting:
    """What could hold a task back in Prefect: its pool, queue and deployment, as they are now."""
    try:
        async with get_client() as client:
            run = await client.read_flow_run(UUID(task.run))
            pool = None
            if task.pool is not None:
                try:
                    found = await client.read_work_pool(task.pool)
                    pool = Pool(found.name, found.type, found.is_paused, found.concurrency_limit)
                except ObjectNotFound:
                    pool = None
            queue_paused, queue_limit = False, None
            if pool is not None and task.queue is not None:
                queue = await client.read_work_queue_by_name(task.queue, work_pool_name=pool.name)
                queue_paused, queue_limit = bool(queue.is_paused), queue.concurrency_limit
            deployment_limit = None
            if task.deployment_id is not None:
                deployment = await client.read_deployment(UUID(task.deployment_id))
                limit = deployment.global_concurrency_limit
                deployment_limit = limit.limit if limit is not None else None
            due = run.next_scheduled_start_time
            return Waiting(pool, due, queue_paused, queue_limit, deployment_limit)
    except Exception as error:
        raise translated(error) from error
