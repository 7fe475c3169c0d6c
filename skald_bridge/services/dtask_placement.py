"""dtask's messages in placement's words, and back; pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from skald_bridge.domain.placements import NOTHING, Granted, Kept
from skald_bridge.wire.dtask import Heartbeat, Schedule
from skald_work_pools.devices import Capacity, Gpu
from skald_work_pools.placement.model import Grant, Member, Request


def differs(said: Heartbeat, before: Heartbeat) -> bool:
    return (
        said.tags != before.tags
        or said.max_tasks != before.max_tasks
        or said.address != before.address
        or said.capacity != before.capacity
    )


def asks_other(wanted: Request, before: Request) -> bool:
    """Such a request is no repetition: the task gives up the place that it has."""
    return (
        wanted.required != before.required
        or wanted.forbidden != before.forbidden
        or wanted.alternatives != before.alternatives
    )


def member_of(said: Heartbeat) -> Member:
    has = said.capacity or NOTHING
    gpus = tuple(Gpu(str(number), "", has.gpu_memory, has.nvenc, has.nvdec) for number in range(has.gpus))
    tags = frozenset(said.tags or ())
    return Member(
        said.worker_id, Capacity(has.cpus, has.memory, gpus, tags, max(0, said.max_tasks)), said.address
    )


def request_of(request: Schedule) -> Request:
    return Request(
        request.task_id,
        (request.needs or NOTHING,),
        priority=request.priority,
        required=frozenset(request.required),
        preferred=frozenset(request.preferred),
        forbidden=frozenset(request.forbidden),
        lease=timedelta(seconds=request.lease) if request.lease is not None else None,
    )


def answer_of(grant: Grant) -> Granted:
    return Granted(grant.member, grant.address, grant.expires, tuple(int(gpu) for gpu in grant.gpus))


def kept_of(grant: Grant) -> Kept:
    asked = grant.request
    return Kept(
        grant.task,
        grant.member,
        grant.address,
        grant.expires,
        tuple(asked.required),
        tuple(asked.forbidden),
        grant.needs,
    )


def as_before(kept: Kept, now: datetime) -> Request:
    return Request(
        kept.task_id,
        (kept.needs,),
        required=frozenset(kept.required),
        forbidden=frozenset(kept.forbidden),
        node=kept.worker_id,
        lease=kept.expires - now,
    )
