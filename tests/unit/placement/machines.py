"""What is really there, beside the fleet's picture of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from skald_work_pools.devices import GpuReading
from skald_work_pools.leases import Lease, Ledger
from skald_work_pools.placement.model import Grant, Member, Used
from skald_work_pools.placement.room import Room
from tests.unit.placement.members import NOW


@dataclass
class Machine:
    """What is really there: a node's ledger, or a worker's tasks; ``others`` are tasks of strangers."""

    member: Member
    ledger: Ledger | None
    running: set[str] = field(default_factory=set)
    others: int = 0
    sick: bool = False
    silent: bool = False
    heard: datetime = NOW

    def readings(self) -> dict[str, GpuReading]:
        return {gpu.uuid: GpuReading(healthy=not self.sick) for gpu in self.member.capacity.gpus}

    def used(self) -> Used:
        return self.others + len(self.running) if self.ledger is None else self.ledger.usage(self.readings())

    def start(self, grant: Grant, now: datetime) -> bool:
        """Whether its GPUs are those that the fleet expected: a node that knows more may take others."""
        assert now - self.heard < timedelta(seconds=10)
        self.running.add(grant.task)
        if self.ledger is None:
            assert self.others + len(self.running) <= self.member.capacity.limit
            return True
        answer = self.ledger.admit(grant.task, grant.needs, self.readings(), now)
        assert isinstance(answer, Lease), answer
        return set(answer.gpu_uuids) == set(grant.gpus)

    def end(self, task: str, now: datetime) -> None:
        self.running.discard(task)
        if self.ledger is not None and not self.ledger.begin_release(task, now):
            self.ledger.confirm(self.readings(), now + timedelta(minutes=1))


class Free(Ledger):
    """What a member has left, as if it were all of it, for a ledger to decide on."""

    def __init__(self, member: Member, room: Room) -> None:
        has = replace(member.capacity, cpus=room.cpus / 1000, memory=room.memory, limit=None)
        super().__init__(has)
        self._left = room.gpus

    def _states(self, readings):
        return list(self._left)
