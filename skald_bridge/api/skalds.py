"""Skalds: nodes, as Skalds' dashboard lists them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from skald_bridge.api.problems import responses
from skald_bridge.api.reading import Given, skald, skalds
from skald_bridge.api.system_models import (
    AssignedTask,
    Kind,
    Online,
    Pinged,
    PingOut,
    SkaldDetails,
    SkaldHeartbeatOut,
    SkaldOut,
    SkaldPath,
    SkaldsOut,
    SkaldStatusOut,
    SkaldTask,
    SkaldTasksOut,
    StatisticsOut,
)
from skald_bridge.api.totals import statistics
from skald_bridge.api.views import kind_of, skald_out
from skald_bridge.wire.skalds import to_ms

router = APIRouter(prefix="/api/skalds", tags=["skalds"])
ONE = responses(404)


@router.get("/")
async def list_skalds(
    backend: Given,
    kind: Annotated[Kind | None, Query(alias="type")] = None,
    status: Annotated[Online | None, Query()] = None,
) -> SkaldsOut:
    """Sorted by id."""
    found = [skald_out(each) for each in (await skalds(backend)).values()]
    items = [each for each in found if kind in (None, each.type) and status in (None, each.status)]
    return SkaldsOut(items=items, total=len(items))


@router.get("/summary/statistics")
async def get_statistics(backend: Given) -> StatisticsOut:
    return statistics((await skalds(backend)).values())


@router.get("/{skald_id}", responses=ONE)
async def get_skald(backend: Given, skald_id: SkaldPath) -> SkaldOut:
    return skald_out(await skald(backend, skald_id))


@router.get("/{skald_id}/tasks", responses=ONE)
async def get_skald_tasks(backend: Given, skald_id: SkaldPath) -> SkaldTasksOut:
    found = await skald(backend, skald_id)
    tasks = [
        AssignedTask(id=task.id, class_name=task.class_name, assigned_at=found.seen_ms)
        for task in found.tasks
    ]
    return SkaldTasksOut(skald_id=found.id, tasks=tasks, total_tasks=len(tasks))


@router.get("/{skald_id}/status", responses=ONE)
async def get_skald_status(backend: Given, skald_id: SkaldPath) -> SkaldStatusOut:
    found, now = await skald(backend, skald_id), backend.clock.now()
    kind = kind_of(found)
    return SkaldStatusOut(
        skald_id=found.id,
        status="online" if found.online else "offline",
        type=kind,
        heartbeat=found.heartbeat,
        last_update=found.seen_ms,
        task_count=len(found.tasks),
        is_online=found.online,
        uptime=int((now - found.started).total_seconds()) if found.started and found.online else None,
        details=SkaldDetails(
            can_accept_tasks=kind == "node" and found.online,
            last_heartbeat_age=to_ms(now) - found.seen_ms,
            tasks=[SkaldTask(id=task.id, class_name=task.class_name) for task in found.tasks],
        ),
    )


@router.get("/{skald_id}/heartbeat", responses=ONE)
async def get_skald_heartbeat(backend: Given, skald_id: SkaldPath) -> SkaldHeartbeatOut:
    found, now = await skald(backend, skald_id), to_ms(backend.clock.now())
    return SkaldHeartbeatOut(
        skald_id=found.id,
        heartbeat=found.heartbeat,
        last_update=found.seen_ms,
        heartbeat_age=now - found.seen_ms,
        is_online=found.online,
        timestamp=now,
    )


@router.post("/{skald_id}/ping", responses=ONE)
async def ping_skald(backend: Given, skald_id: SkaldPath) -> PingOut:
    """Whether it has been heard of lately; nothing is sent to it."""
    found = await skald(backend, skald_id)
    return PingOut(
        success=found.online,
        message=f"Skald {found.id} is {'online' if found.online else 'offline'}",
        data=Pinged(skald_id=found.id, online=found.online, last_heartbeat=found.seen_ms),
    )
