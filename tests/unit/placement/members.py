"""Members and times for tests of placement."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from skald_work_pools.devices import Capacity, Gpu
from skald_work_pools.gpu_choice import GpuState
from skald_work_pools.leases import Usage
from skald_work_pools.needs import Needs
from skald_work_pools.placement.fleet import Fleet
from skald_work_pools.placement.model import Grant, Member, Refusal, Request

GIB = 2**30
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def worker(name: str, slots: int | None = 4, *tags: str, **more: Any) -> Member:
    """As dtask has them: tags and slots."""
    return Member(name, Capacity(0, 0, (), frozenset(tags), slots), address=f"{name}:8080", **more)


def node(
    name: str,
    *gpus: int,
    cpus: float = 8,
    memory: int = 32 * GIB,
    tags: frozenset[str] = frozenset(),
    **more: Any,
) -> Member:
    """With GPUs of so many GiB."""
    devices = tuple(
        Gpu(f"{name}-{number}", "X", size * GIB, nvenc=3, nvdec=4) for number, size in enumerate(gpus)
    )
    return Member(name, Capacity(cpus, memory, devices, tags), **more)


def idle(member: Member) -> Usage:
    has = member.capacity
    return Usage(has.cpus, has.memory, has.limit, tuple(GpuState(gpu) for gpu in has.gpus), ())


def fleet_of(*members: Member, **more: Any) -> Fleet:
    fleet = Fleet(7, **more)
    for member in members:
        fleet.report(member, 0, NOW)
    return fleet


def asks(task: str, *needs: Needs, **more: Any) -> Request:
    return Request(task, needs or (Needs(),), **more)


def granted(fleet: Fleet, request: Request, now: datetime = NOW) -> Grant:
    answer = fleet.place(request, now)
    assert isinstance(answer, Grant), answer
    return answer


def refused(fleet: Fleet, request: Request, now: datetime = NOW) -> Refusal:
    answer = fleet.place(request, now)
    assert isinstance(answer, Refusal), answer
    return answer
