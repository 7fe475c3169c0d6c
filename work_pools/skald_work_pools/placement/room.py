"""What a member has left: what it reports, less what was granted since."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from datetime import datetime

from skald_work_pools.gpu_choice import GpuState, could_fit, takes_whole
from skald_work_pools.leases import Usage
from skald_work_pools.needs import Needs
from skald_work_pools.placement.kinds import Kind
from skald_work_pools.placement.model import Grant, Member, Request, State, Used

_NO_GRANTS: dict[str, Grant] = {}


class Room:
    """A member's picture in the fleet; mutable, made for speed: ``cpus`` free in thousandths, ``memory`` in bytes.

    A node's books name its leases, so a grant counts here only until it is among them. A mere number of tasks
    cannot tell them: grants count first, and what it says above them is taken for tasks of others.
    """

    __slots__ = (
        "apart",
        "confirmed",
        "cpus",
        "gpus",
        "grants",
        "index",
        "kind",
        "load",
        "member",
        "memory",
        "others",
        "resources",
        "seen",
        "state",
        "tasks",
        "unsettled",
        "used",
    )

    def __init__(self, index: int, member: Member, kind: Kind, used: Used, now: datetime) -> None:
        self.index = index
        self.member = member
        self.kind = kind
        self.seen = now
        self.state = State.DRAINED if member.drained else State.ONLINE
        self.grants = _NO_GRANTS
        self.unsettled = self.apart = False
        self.believe(used)

    def believe(self, used: Used) -> tuple[Grant, ...]:
        """Take a report; answers the grants that the node had confirmed and does not list any more."""
        self.used = used
        ended: tuple[Grant, ...] = ()
        if isinstance(used, int):
            self.others = max(0, used - len(self.grants))
            self.confirmed: frozenset[str] = frozenset()
        else:
            listed = frozenset(lease.run_id for lease in used.leases)
            if self.grants:
                ended = tuple(
                    grant
                    for task, grant in self.grants.items()
                    if task in self.confirmed and task not in listed
                )
            self.confirmed = listed & self.grants.keys() if self.grants else frozenset()
            limit = self.member.capacity.limit
            self.others = (
                sum(lease.releasing is None for lease in used.leases)
                if limit is None or used.slots_free is None
                else limit - used.slots_free
            )
            for grant in ended:
                self.drop(grant)
        self.recount()
        return ended

    @property
    def free(self) -> tuple[object, ...]:
        """All that ranks depend on."""
        return self.tasks, self.cpus, self.memory, self.gpus, self.resources and tuple(self.resources.items())

    def says_nothing_new(self, used: Used) -> bool:
        """Whether the room would stay as it is with this report."""
        if isinstance(used, int):
            return isinstance(self.used, int) and self.others == max(0, used - len(self.grants))
        return used == self.used and len(self.confirmed) == len(self.grants)

    def take(self, grant: Grant) -> None:
        if not self.grants:
            self.grants = {}
        self.grants[grant.task] = grant
        self.add(grant, 1)
        self.weigh()

    def drop(self, grant: Grant) -> None:
        """Without the grant; what a node has confirmed stays taken until the node says otherwise."""
        del self.grants[grant.task]
        if not self.grants:
            self.grants = _NO_GRANTS
        self.recount()

    def recount(self) -> None:
        """From the report and the grants that it does not hold."""
        has, used = self.member.capacity, self.used
        self.tasks = self.others
        self.resources: dict[str, int] | None = dict(self.member.resources) if self.member.resources else None
        if isinstance(used, Usage):
            self.cpus, self.memory, self.gpus = round(used.cpus_free * 1000), used.memory_free, used.gpus
        else:
            self.cpus, self.memory = round(has.cpus * 1000), has.memory
            self.gpus = tuple(GpuState(gpu) for gpu in has.gpus) if has.gpus else ()
        for task, grant in self.grants.items():
            if task not in self.confirmed:
                self.add(grant, 1)
            elif grant.request.resources:
                self.add_resources(grant.request, 1)
        self.weigh()

    def without(self, grants: Iterable[Grant]) -> Room:
        """As it would be if these had ended, and their node had said so."""
        one = self._copy()
        for grant in grants:
            one.add(grant, -1)
        one.weigh()
        return one

    def beside(self, request: Request, needs: Needs) -> Room:
        """What would be left with this task here too, whichever of the devices that suit it would be its own."""
        one = self._copy()
        one.tasks += 1
        one.cpus = max(0, one.cpus - round(needs.cpus * 1000))
        one.memory = max(0, one.memory - needs.memory)
        if needs.gpus:
            able = tuple(state.gpu.uuid for state in one.gpus if could_fit(needs, state.gpu))
            one.gpus = with_lease(one.gpus, needs, able)
        one.add_resources(request, 1)
        return one

    def _copy(self) -> Room:
        one = copy(self)
        one.resources = dict(self.resources) if self.resources is not None else None
        return one

    def add(self, grant: Grant, tasks: int) -> None:
        """One task more, or with -1 one fewer."""
        needs = grant.needs
        self.tasks += tasks
        self.cpus -= round(needs.cpus * 1000) * tasks
        self.memory -= needs.memory * tasks
        if grant.gpus:
            change = with_lease if tasks > 0 else without_lease
            self.gpus = change(self.gpus, needs, grant.gpus)
        if grant.request.resources:
            self.add_resources(grant.request, tasks)

    def add_resources(self, request: Request, tasks: int) -> None:
        if self.resources is not None:
            for name, count in request.resources.items():
                if name in self.resources:
                    self.resources[name] -= count * tasks

    def weigh(self) -> None:
        """The fullest of what it hands out; 1 where it has no slot at all."""
        has = self.member.capacity
        limit = has.limit
        load = 0.0 if limit is None else self.tasks / limit if limit > 0 else 1.0
        if has.cpus:
            load = max(load, 1 - self.cpus / (has.cpus * 1000))
        if has.memory:
            load = max(load, 1 - self.memory / has.memory)
        self.load = load


def with_lease(states: Iterable[GpuState], needs: Needs, uuids: tuple[str, ...]) -> tuple[GpuState, ...]:
    """The devices after the needs are taken on those named."""
    return tuple(
        GpuState(
            gpu=state.gpu,
            healthy=state.healthy,
            taken=state.taken + needs.gpu_memory,
            foreign=state.foreign,
            whole=state.whole or takes_whole(needs),
            leases=state.leases + 1,
            nvenc=state.nvenc + needs.nvenc,
            nvdec=state.nvdec + needs.nvdec,
        )
        if state.gpu.uuid in uuids
        else state
        for state in states
    )


def without_lease(states: Iterable[GpuState], needs: Needs, uuids: tuple[str, ...]) -> tuple[GpuState, ...]:
    """The devices after the needs are given back on those named."""
    return tuple(
        GpuState(
            gpu=state.gpu,
            healthy=state.healthy,
            taken=state.foreign if state.leases <= 1 else state.taken - needs.gpu_memory,
            foreign=state.foreign,
            whole=state.whole and state.leases > 1,
            leases=max(0, state.leases - 1),
            nvenc=max(0, state.nvenc - needs.nvenc),
            nvdec=max(0, state.nvdec - needs.nvdec),
        )
        if state.gpu.uuid in uuids
        else state
        for state in states
    )
