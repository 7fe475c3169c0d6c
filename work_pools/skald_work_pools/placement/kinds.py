"""Members that look alike, and which of them could ever take a task."""

from __future__ import annotations

from skald_work_pools.devices import Gpu
from skald_work_pools.gpu_choice import could_fit, takes_whole
from skald_work_pools.needs import Needs
from skald_work_pools.placement.model import Member, Order, Request

COLD = 0.25
"""A member that would start the code cold counts as so much fuller."""
UNLIKED = 0.25
"""So does one with none of the preferred tags; one with a part of them in proportion."""

WantKey = tuple[Needs, frozenset[str], frozenset[str], frozenset[str], str, Order, frozenset[tuple[str, int]]]
KindKey = tuple[object, ...]
_NOTHING: frozenset[tuple[str, int]] = frozenset()


class Want:
    """What one alternative of a request asks of a member; requests that ask the same share it."""

    __slots__ = (
        "cpus",
        "forbidden",
        "gpu_memory",
        "gpus",
        "key",
        "memory",
        "needs",
        "nvdec",
        "nvenc",
        "pack",
        "preferred",
        "required",
        "resources",
        "task_type",
        "whole",
    )

    def __init__(self, key: WantKey) -> None:
        needs, required, preferred, forbidden, self.task_type, order, self.resources = key
        self.key = key
        self.needs = needs
        self.required = required | needs.tags
        self.preferred, self.forbidden = preferred, forbidden
        self.pack = order is Order.PACK
        self.cpus = round(needs.cpus * 1000)
        self.memory = needs.memory
        self.gpus, self.gpu_memory = needs.gpus, needs.gpu_memory
        self.nvenc, self.nvdec = needs.nvenc, needs.nvdec
        self.whole = takes_whole(needs)


def want_key(request: Request, needs: Needs, of_fleet: frozenset[str]) -> WantKey:
    """``of_fleet``: names of the resources that the whole fleet shares; no member is asked for these."""
    resources = _NOTHING
    if request.resources:
        resources = frozenset(item for item in request.resources.items() if item[0] not in of_fleet)
    return (
        needs,
        request.required,
        request.preferred,
        request.forbidden,
        request.task_type,
        request.order,
        resources,
    )


class Kind:
    """What members have in common that have the same tags, task types and hardware."""

    __slots__ = (
        "cpus",
        "gpus",
        "limit",
        "memory",
        "resources",
        "rooms",
        "tags",
        "task_types",
        "warm",
    )

    def __init__(self, member: Member) -> None:
        has = member.capacity
        self.tags = has.tags
        self.task_types, self.warm = member.task_types, member.warm
        self.cpus = round(has.cpus * 1000)
        self.memory, self.limit = has.memory, has.limit
        self.gpus = tuple(_alike(gpu) for gpu in has.gpus)
        self.resources = dict(member.resources)
        self.rooms: dict[int, None] = {}


def kind_key(member: Member) -> KindKey:
    has = member.capacity
    return (
        has.tags,
        has.cpus,
        has.memory,
        has.limit,
        tuple((gpu.memory, gpu.nvenc, gpu.nvdec) for gpu in has.gpus),
        member.task_types,
        member.warm,
        frozenset(member.resources.items()),
    )


def suits(want: Want, kind: Kind) -> float | None:
    """What a member of this kind lacks of the preferences, as a load; ``None`` if it could never take the task."""
    if not want.required <= kind.tags or not want.forbidden.isdisjoint(kind.tags):
        return None
    if want.cpus > kind.cpus or want.memory > kind.memory or kind.limit == 0:
        return None
    if want.task_type and kind.task_types is not None and want.task_type not in kind.task_types:
        return None
    if want.gpus and want.gpus > sum(could_fit(want.needs, gpu) for gpu in kind.gpus):
        return None
    if want.resources and any(count > kind.resources.get(name, 0) for name, count in want.resources):
        return None
    lacks = COLD if want.task_type and want.task_type not in kind.warm else 0.0
    if want.preferred:
        lacks += UNLIKED * (1 - len(want.preferred & kind.tags) / len(want.preferred))
    return lacks


def _alike(gpu: Gpu) -> Gpu:
    return Gpu("", "", gpu.memory, gpu.nvenc, gpu.nvdec)
