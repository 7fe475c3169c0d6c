"""Why a member does not take a task, in words."""

from __future__ import annotations

from datetime import datetime

from skald_work_pools.gpu_choice import fits
from skald_work_pools.leases import Ledger, Refusal
from skald_work_pools.needs import Needs
from skald_work_pools.placement.kinds import Want, suits
from skald_work_pools.placement.model import Request, State
from skald_work_pools.placement.room import Room
from skald_work_pools.placement.score import NO_ROOM, rank


def lacking(want: Want, room: Room, request: Request, now: datetime) -> str | None:
    """What is missing on the member for one alternative; ``None`` where nothing is."""
    if request.node not in (None, room.member.id):
        return f"the task is pinned to {request.node}"
    if suits(want, room.kind) is None:
        return _never(want, room, now)
    if room.state is not State.ONLINE:
        return f"is {room.state}"
    return None if rank(want, room, 0.0) != NO_ROOM else _busy(want, room)


def _never(want: Want, room: Room, now: datetime) -> str:
    member, kind = room.member, room.kind
    asked = want.needs.model_copy(update={"tags": want.required})
    answer = Ledger(member.capacity).admit("", asked, {}, now)
    if isinstance(answer, Refusal) and answer.permanent:
        return answer.reason
    if unwanted := want.forbidden & member.tags:
        return f"has what is forbidden: {', '.join(sorted(unwanted))}"
    if kind.limit == 0:
        return "runs no tasks, its limit is 0"
    if want.task_type and member.task_types is not None and want.task_type not in member.task_types:
        return f"does not run {want.task_type}"
    short = [
        f"{count} {name}, has {kind.resources.get(name, 0)}"
        for name, count in sorted(want.resources)
        if count > kind.resources.get(name, 0)
    ]
    return f"needs {' and '.join(short)}"


def _busy(want: Want, room: Room) -> str:
    limit = room.kind.limit
    if limit is not None and room.tasks >= limit:
        return f"runs {room.tasks} tasks, its limit is {limit}"
    if want.cpus > room.cpus:
        return f"needs {want.cpus / 1000:g} cpus, {max(0, room.cpus) / 1000:g} free"
    if want.memory > room.memory:
        return f"needs {want.memory:,} bytes of memory, {max(0, room.memory):,} free"
    for name, count in sorted(want.resources):
        left = (room.resources or {}).get(name, 0)
        if count > left:
            return f"needs {count} {name}, {left} free"
    sick = sum(not state.healthy for state in room.gpus)
    free = sum(fits(_on_one(want.needs), state) for state in room.gpus)
    return f"needs {want.gpus} gpus, {free} free" + (f" ({sick} not answering)" if sick else "")


def _on_one(needs: Needs) -> Needs:
    return needs.model_copy(update={"gpus": 1})
