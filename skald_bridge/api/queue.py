"""Who waits: for nodes, and for dtask's workers."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from skald_bridge.api.models import Wire
from skald_bridge.api.problems import responses
from skald_bridge.api.reading import Given
from skald_bridge.domain.queue import Row
from skald_bridge.services.queue import explain
from skald_bridge.wire.skalds import to_ms
from skald_work_pools.placement.model import Waiting

LAST_PAGE = 1_000_000
MOST_REQUESTS = 100
router = APIRouter(prefix="/api/queue", tags=["queue"])


class NeedsOut(Wire):
    cpus: float
    memory: int = Field(description="Bytes.")
    gpus: int
    gpu_memory: int = Field(description="Bytes on each GPU; 0 with gpus: whole ones.")
    nvenc: int
    nvdec: int
    tags: list[str]


class WaitingTaskOut(Wire):
    id: str
    place: int | None = Field(description="From 1 in its pool's line; null for one that is to start later.")
    name: str
    class_name: str
    pool: str | None
    queue: str | None
    deployment: str | None
    priority: int = Field(description="0…10; 10 is taken first.")
    needs: NeedsOut
    state: str = Field(description="Prefect's name of it: Scheduled, Late, AwaitingRetry …")
    waits_since: int | None = Field(description="Unix time in milliseconds.")
    due: int | None = Field(description="Unix time in milliseconds.")
    expected_start: int | None = Field(description="Where it is known; Unix time in milliseconds.")
    reasons: list[str] = Field(description="Why not yet, the most telling first; last what nodes said.")


class WaitingRequestOut(Wire):
    task_id: str
    priority: int
    needs: NeedsOut
    waits_since: int = Field(description="Unix time in milliseconds.")
    expected_start: int | None = Field(description="Where it is known; Unix time in milliseconds.")
    reason: str


class QueueOut(Wire):
    items: list[WaitingTaskOut]
    total: int = Field(description="All that are due.")
    later: int = Field(description="All that are to start at a later time.")
    page: int
    page_size: int
    requests: list[WaitingRequestOut] = Field(description="Of dtask's clients, the first 100 of them.")
    total_requests: int


@router.get("/", responses=responses(503))
async def list_queue(
    backend: Given,
    page: Annotated[int, Query(ge=1, le=LAST_PAGE)] = 1,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=100)] = 50,
    pool: Annotated[str | None, Query(max_length=200, description="Only tasks of this work pool.")] = None,
    later: Annotated[bool, Query(description="Also those that are to start at a later time.")] = False,
) -> QueueOut:
    """In the order in which nodes take them: each pool has a line of its own."""
    engine = backend.engine
    wanted = engine.queue(pool=pool or None, limit=page_size, offset=(page - 1) * page_size, later=later)
    found, nodes = await asyncio.gather(wanted, engine.nodes())
    explained = await explain(engine, found, nodes, backend.clock.now())
    fleet = backend.bridge.fleet
    return QueueOut(
        items=[_task_out(row) for row in explained.rows],
        total=explained.total,
        later=explained.later,
        page=page,
        page_size=page_size,
        requests=[_request_out(each) for each in fleet.requests(MOST_REQUESTS)],
        total_requests=fleet.waiting,
    )


def _task_out(row: Row) -> WaitingTaskOut:
    task, due = row.queued.task, row.queued.waiting.due
    return WaitingTaskOut(
        id=task.id,
        place=row.queued.place,
        name=task.name,
        class_name=task.class_name,
        pool=task.pool,
        queue=task.queue,
        deployment=task.deployment,
        priority=row.priority,
        needs=NeedsOut.model_validate(row.queued.needs.model_dump(mode="json")),
        state=task.state.name if task.state is not None else "",
        waits_since=to_ms(row.since) if row.since is not None else None,
        due=to_ms(due) if due is not None else None,
        expected_start=to_ms(row.expected) if row.expected is not None else None,
        reasons=list(row.reasons),
    )


def _request_out(waiting: Waiting) -> WaitingRequestOut:
    request, hold = waiting.request, waiting.hold
    return WaitingRequestOut(
        task_id=request.task,
        priority=request.priority,
        needs=NeedsOut.model_validate(request.alternatives[0].model_dump(mode="json")),
        waits_since=to_ms(waiting.since),
        expected_start=to_ms(hold.expected) if hold is not None and hold.expected is not None else None,
        reason=waiting.reason,
    )
