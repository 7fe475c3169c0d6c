"""Arrivals, ends, strangers, failing GPUs in any order: nothing is handed out twice, nothing stays lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from skald_work_pools.devices import Capacity, Gpu, GpuProcess, GpuReading
from skald_work_pools.gpu_choice import IDLE_SHARE
from skald_work_pools.leases import RELEASE_TIMEOUT, Lease, Ledger, Refusal
from skald_work_pools.needs import Needs
from tests.unit.test_leases import check

GIB = 2**30

needs = st.builds(
    Needs,
    cpus=st.sampled_from([0, 0.1, 0.5, 1, 3]),
    memory=st.sampled_from([0, GIB, 5 * GIB]),
    gpus=st.integers(0, 3),
    gpu_memory=st.sampled_from([0, 0, GIB, 6 * GIB, 11 * GIB, 20 * GIB]),
    nvenc=st.sampled_from([0, 0, 0, 1, 2]),
    nvdec=st.sampled_from([0, 0, 0, 1]),
    tags=st.sampled_from([frozenset[str](), frozenset({"lan"}), frozenset({"moon"})]),
)


@dataclass
class TrueGpu:
    """What is really on a GPU: bytes by session, of runs and of strangers."""

    gpu: Gpu
    sick: bool = False
    strangers: int = 0
    runs: dict[int, int] = field(default_factory=dict)

    def reading(self) -> GpuReading:
        if self.sick:
            return GpuReading(healthy=False, error="lost")
        held = {**self.runs, 1: self.strangers}
        processes = tuple(GpuProcess(session, used, session) for session, used in held.items() if used)
        return GpuReading(memory_used=sum(held.values()), processes=processes)


class Node(RuleBasedStateMachine):
    running = Bundle("running")
    dead = Bundle("dead")

    @initialize(limit=st.sampled_from([None, 1, 6]), gpus=st.integers(0, 3))
    def begin(self, limit: int | None, gpus: int) -> None:
        self.gpus = {
            f"GPU-{n}": TrueGpu(Gpu(f"GPU-{n}", "X", (12 + 4 * n) * GIB, nvenc=3, nvdec=1))
            for n in range(gpus)
        }
        capacity = Capacity(
            3, 10 * GIB, tuple(one.gpu for one in self.gpus.values()), frozenset({"lan"}), limit
        )
        self.books = Ledger(capacity)
        self.now = datetime(2030, 1, 1, tzinfo=UTC)
        self.runs = 1
        self.died: dict[str, datetime] = {}

    def readings(self) -> dict[str, GpuReading]:
        return {uuid: one.reading() for uuid, one in self.gpus.items()}

    @rule(target=running, needs=needs, count=st.sampled_from([1, 1, 2, 200]))
    def arrive(self, needs: Needs, count: int) -> object:
        readings, leases = self.readings(), []
        for _ in range(count):
            self.runs += 1
            answer = self.books.admit(str(self.runs), needs, readings, self.now)
            if isinstance(answer, Lease):
                leases.append(answer)
                self.check_admitted(answer)
            else:
                self.check_refused(answer, needs)
                assert len(leases) < count
        return multiple(*leases)

    def check_admitted(self, lease: Lease) -> None:
        assert lease.needs.tags <= {"lan"}
        assert len(set(lease.gpu_uuids)) == lease.needs.gpus
        for uuid in lease.gpu_uuids:
            one = self.gpus[uuid]
            others = [each for each in self.books.leases if uuid in each.gpu_uuids]
            assert not one.sick
            if lease.whole:
                assert others == [lease]
                assert one.strangers <= one.gpu.memory * IDLE_SHARE
            elif all(each.session is not None for each in others if each != lease):
                assert one.strangers + sum(each.needs.gpu_memory for each in others) <= one.gpu.memory

    def check_refused(self, refusal: Refusal, needs: Needs) -> None:
        idle = Ledger(self.books.capacity)
        answer = idle.admit("alone", needs, {uuid: GpuReading() for uuid in self.gpus}, self.now)
        assert isinstance(answer, Refusal) == refusal.permanent
        assert refusal.reason

    @rule(lease=running, share=st.floats(0, 1))
    def use(self, lease: Lease, share: float) -> None:
        """The run's processes start, or use more or less of what they may."""
        if self.books.lease(lease.run_id) is None or lease.run_id in self.died:
            return
        self.books.started(lease.run_id, int(lease.run_id) * 10)
        for uuid in lease.gpu_uuids:
            one = self.gpus[uuid]
            free = (
                one.gpu.memory
                - one.strangers
                - sum(one.runs.values())
                + one.runs.get(int(lease.run_id) * 10, 0)
            )
            bound = one.gpu.memory if lease.whole else lease.needs.gpu_memory
            one.runs[int(lease.run_id) * 10] = int(max(0, min(bound, free)) * share)

    @rule(target=dead, lease=consumes(running))
    def die(self, lease: Lease) -> Lease:
        if self.books.lease(lease.run_id) is None:
            return lease
        self.died.setdefault(lease.run_id, self.now)
        at_once = self.books.begin_release(lease.run_id, self.now)
        assert at_once == (not lease.gpu_uuids)
        return lease

    @rule(lease=consumes(running))
    def lose_the_claim(self, lease: Lease) -> None:
        held = self.books.lease(lease.run_id)
        if held is not None and held.session is not None:
            self.die(lease)
            return
        self.books.withdraw(lease.run_id)
        assert self.books.lease(lease.run_id) is None

    @rule(lease=consumes(dead))
    def driver_frees(self, lease: Lease) -> None:
        for uuid in lease.gpu_uuids:
            self.gpus[uuid].runs.pop(int(lease.run_id) * 10, None)

    @rule(data=st.data(), size=st.integers(0, 8 * GIB))
    def strangers_come_and_go(self, data: st.DataObject, size: int) -> None:
        if self.gpus:
            one = self.gpus[data.draw(st.sampled_from(sorted(self.gpus)))]
            one.strangers = min(size, one.gpu.memory - sum(one.runs.values()))

    @rule(data=st.data(), sick=st.booleans())
    def fall_sick_or_recover(self, data: st.DataObject, sick: bool) -> None:
        if self.gpus:
            self.gpus[data.draw(st.sampled_from(sorted(self.gpus)))].sick = sick

    @rule(seconds=st.sampled_from([0, 1, 10, 60]))
    def confirm(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        held = {lease.run_id: lease for lease in self.books.leases}
        for run_id in self.books.confirm(self.readings(), self.now):
            for uuid in held[run_id].gpu_uuids:
                lingers = self.gpus[uuid].runs.get(int(run_id) * 10, 0)
                waited = self.now - self.died[run_id] >= RELEASE_TIMEOUT
                assert not lingers or (self.gpus[uuid].sick and waited)

    @rule()
    def everything_ends(self) -> None:
        """After all is over every lease ends, and what fits an idle node is admitted."""
        for lease in self.books.leases:
            self.books.begin_release(lease.run_id, self.now)
            self.died.setdefault(lease.run_id, self.now)
        for one in self.gpus.values():
            one.runs.clear()
            one.sick, one.strangers = False, 0
        self.now += RELEASE_TIMEOUT
        self.books.confirm(self.readings(), self.now)
        assert self.books.leases == ()
        self.runs += 1
        every = Needs(cpus=3, memory=10 * GIB, gpus=len(self.gpus))
        assert isinstance(self.books.admit(str(self.runs), every, self.readings(), self.now), Lease)
        self.books.withdraw(str(self.runs))

    @invariant()
    def nothing_is_handed_out_twice(self) -> None:
        if hasattr(self, "books"):
            check(self.books)


TestNode = Node.TestCase
TestNode.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
