"""Tasks: lists, single ones, and why they are where they are."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from skald_bridge.api.models import Said, TaskHeartbeatOut, TaskOut, TasksOut, WhyOut
from skald_bridge.api.problems import responses
from skald_bridge.api.reading import Given, GivenTask, document, vitals, vitals_of
from skald_bridge.api.views import task_heartbeat_out, task_out
from skald_bridge.domain.lifecycle import LifecycleStatus
from skald_bridge.domain.pulse import SILENT
from skald_bridge.domain.task_filter import TaskFilter
from skald_bridge.domain.why import reasons
from skald_bridge.wire.skalds import to_ms

LAST_PAGE = 1_000_000
router = APIRouter(prefix="/api/tasks", tags=["tasks"])
ONE = responses(404, 503)


@router.get("/", responses=responses(503))
async def list_tasks(
    backend: Given,
    page: Annotated[int, Query(ge=1, le=LAST_PAGE)] = 1,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=100)] = 20,
    status: Annotated[LifecycleStatus | None, Query(alias="lifecycleStatus")] = None,
    class_part: Annotated[
        str | None, Query(alias="className", max_length=200, description="A part of it, in any case.")
    ] = None,
    executor: Annotated[str | None, Query(max_length=200, description="The Skald's id.")] = None,
    id_part: Annotated[
        str | None, Query(alias="id", max_length=200, description="A part of it, in any case.")
    ] = None,
) -> TasksOut:
    """Newest first."""
    wanted = TaskFilter(status, executor=executor or None, id_part=id_part, class_part=class_part)
    total = await backend.archive.count(wanted)
    found = await backend.archive.find(wanted, limit=page_size, offset=(page - 1) * page_size)
    heard = await vitals(backend, [each.id for each in found])
    items = [task_out(each, heard.get(each.id, SILENT)) for each in found]
    return TasksOut(items=items, total=total, page=page, page_size=page_size)


@router.get("/classnames", responses=responses(503))
async def list_class_names(backend: Given) -> list[str]:
    """Task types that have had a task."""
    return await backend.archive.class_names()


@router.get("/{task_id}", responses=ONE)
async def get_task(backend: Given, task: GivenTask) -> TaskOut:
    found = await document(backend, task)
    return task_out(found, await vitals_of(backend, found.id))


@router.get("/{task_id}/heartbeat", responses=ONE)
async def get_heartbeat(backend: Given, task: GivenTask) -> TaskHeartbeatOut:
    found = await document(backend, task)
    return task_heartbeat_out(found, await vitals_of(backend, found.id), backend.clock.now())


@router.get("/{task_id}/why", responses=ONE)
async def get_why(backend: Given, task: GivenTask) -> WhyOut:
    """Why it is where it is: refusals, lease, its pool."""
    engine = backend.engine
    stored = await backend.archive.get(task)
    if stored is not None and stored.foreign:
        where = f" on Skalds node {stored.executor}" if stored.executor else ""
        said = [f"It is {stored.lifecycle.value}{where}: {stored.exception or stored.state_name}"]
        return WhyOut(task_id=stored.id, lifecycle_status=stored.lifecycle, reasons=said, node_log=[])
    found = await engine.task(task)
    said = reasons(
        found,
        await backend.waiting(found),
        await engine.nodes(),
        await engine.live_tasks(),
        backend.clock.now(),
    )
    log = [Said(at=to_ms(at), message=message) for at, message in await engine.node_log(found.id)]
    status = found.state.lifecycle if found.state is not None else LifecycleStatus.CREATED
    return WhyOut(task_id=found.id, lifecycle_status=status, reasons=said, node_log=log)
