"""Admission and release on one node."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from skald_work_pools.devices import Capacity, Gpu, GpuProcess, GpuReading
from skald_work_pools.leases import RELEASE_TIMEOUT, Lease, Ledger, Refusal
from skald_work_pools.needs import Needs

GIB = 2**30
NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)
GPUS = (Gpu("A", "X", 16 * GIB, nvenc=3, nvdec=4), Gpu("B", "X", 16 * GIB, nvenc=3, nvdec=4))
IDLE = {"A": GpuReading(), "B": GpuReading()}


def ledger(cpus: float = 4, memory: int = 8 * GIB, limit: int | None = None) -> Ledger:
    return Ledger(Capacity(cpus, memory, GPUS, frozenset({"lan", "cuda-12"}), limit))


def used(gibibytes: float, *processes: GpuProcess) -> GpuReading:
    return GpuReading(memory_used=int(gibibytes * GIB), processes=processes)


def process(session: int | None, gibibytes: float) -> GpuProcess:
    return GpuProcess(1000 + (session or 0), int(gibibytes * GIB), session)


def admitted(
    books: Ledger, run_id: str, needs: Needs, readings: dict[str, GpuReading] | None = None
) -> Lease:
    answer = books.admit(run_id, needs, readings or IDLE, NOW)
    assert isinstance(answer, Lease), answer
    return answer


def refused(books: Ledger, needs: Needs, readings: dict[str, GpuReading] | None = None) -> Refusal:
    answer = books.admit("refused", needs, IDLE if readings is None else readings, NOW)
    assert isinstance(answer, Refusal), answer
    return answer


@pytest.mark.parametrize(
    ("needs", "reason"),
    [
        (Needs(gpus=9), "needs 9 gpus, has 2"),
        (Needs(cpus=4.5), "needs 4.5 cpus, has 4"),
        (Needs(memory="9GiB"), "needs 9 GiB of memory, has 8 GiB"),
        (Needs(tags={"lan", "moon", "sea"}), "needs tags moon, sea, has tags cuda-12, lan"),
        (Needs(gpu_memory="20GiB"), "needs 1 gpus with 20 GiB free, has none of that kind"),
        (Needs(nvenc=4), "needs 1 gpus with 4 encoder sessions, has none of that kind"),
    ],
)
def test_what_never_fits_is_permanent(needs: Needs, reason: str) -> None:
    assert refused(ledger(), needs) == Refusal(reason, permanent=True)


def test_what_is_busy_now_is_not() -> None:
    books = ledger(limit=3)
    admitted(books, "1", Needs(cpus=3, memory="6GiB", gpus=1))
    assert refused(books, Needs(gpus=2)) == Refusal("needs 2 gpus, 1 free")
    assert refused(books, Needs(cpus=1.5)) == Refusal("needs 1.5 cpus, 1 free")
    assert refused(books, Needs(memory="3GiB")) == Refusal("needs 3 GiB of memory, 2 GiB free")
    admitted(books, "2", Needs())
    admitted(books, "3", Needs())
    assert refused(books, Needs()) == Refusal("runs 3 tasks, its limit is 3")


def test_tenths_of_a_cpu_add_up() -> None:
    books = ledger(cpus=1)
    for number in range(10):
        admitted(books, str(number), Needs(cpus=0.1))
    assert not refused(books, Needs(cpus=0.1)).permanent


def test_a_cpu_lease_ends_at_once() -> None:
    books = ledger()
    admitted(books, "1", Needs(cpus=4))
    assert books.begin_release("1", LATER)
    assert books.leases == ()


def test_a_gpu_lease_frees_its_cpus_at_once_and_its_gpu_when_the_memory_is_back() -> None:
    books = ledger(limit=1)
    admitted(books, "1", Needs(cpus=4, memory="8GiB", gpus=2))
    assert not books.begin_release("1", LATER)
    still = {"A": used(9), "B": used(0)}
    assert books.confirm(still, LATER) == []
    assert refused(books, Needs(gpus=1), still) == Refusal("needs 1 gpus, 0 free")
    admitted(books, "cpus", Needs(cpus=4, memory="8GiB"))
    assert books.confirm(IDLE, LATER) == ["1"]
    assert [lease.run_id for lease in books.leases] == ["cpus"]


def test_memory_is_back_when_it_is_what_it_was_before() -> None:
    books = ledger()
    before = {"A": used(0.5), "B": used(0.5)}
    admitted(books, "1", Needs(gpus=2), before)
    books.begin_release("1", LATER)
    assert books.confirm({"A": used(0.5), "B": used(0.7)}, LATER) == []
    assert books.confirm({"A": used(0.5), "B": used(0.51)}, LATER) == ["1"]


def test_gone_processes_are_proof_after_the_timeout() -> None:
    books = ledger()
    admitted(books, "1", Needs(gpus=1))
    books.started("1", 77)
    books.begin_release("1", LATER)
    listed = {"A": used(3, process(77, 3)), "B": used(0)}
    gone = {"A": used(3), "B": used(0)}
    assert books.confirm(gone, LATER + RELEASE_TIMEOUT / 2) == []
    assert books.confirm(listed, LATER + RELEASE_TIMEOUT) == []
    assert books.confirm(gone, LATER + RELEASE_TIMEOUT) == ["1"]


def test_a_gpu_lost_with_its_lease_is_given_up_and_not_given_out() -> None:
    books = ledger()
    lease = admitted(books, "1", Needs(gpus=1))
    assert lease.gpu_uuids == ("A",)
    books.begin_release("1", LATER)
    lost = {"A": GpuReading(healthy=False, error="GPU is lost"), "B": used(0)}
    assert books.confirm(lost, LATER) == []
    assert books.confirm(lost, LATER + RELEASE_TIMEOUT) == ["1"]
    assert refused(books, Needs(gpus=2), lost) == Refusal("needs 2 gpus, 1 free (1 not answering)")
    assert admitted(books, "2", Needs(gpus=1), lost).gpu_uuids == ("B",)


def test_a_gpu_without_a_reading_is_sick() -> None:
    assert refused(ledger(), Needs(gpus=1), {}) == Refusal("needs 1 gpus, 0 free (2 not answering)")


def test_shares_pack_and_leave_a_whole_gpu() -> None:
    books = ledger()
    chosen = {admitted(books, str(n), Needs(gpu_memory="4GiB")).gpu_uuids for n in range(4)}
    assert chosen == {("A",)}
    assert admitted(books, "whole", Needs(gpus=1)).gpu_uuids == ("B",)
    assert refused(books, Needs(gpu_memory="1GiB")) == Refusal("needs 1 gpus with 1 GiB free, 0 free")


def test_what_strangers_use_is_not_given_out() -> None:
    books = ledger()
    busy = {"A": used(10), "B": used(14)}
    assert refused(books, Needs(gpus=1), busy) == Refusal("needs 1 gpus, 0 free")
    assert admitted(books, "1", Needs(gpu_memory="4GiB"), busy).gpu_uuids == ("A",)
    assert refused(books, Needs(gpu_memory="4GiB"), busy) == Refusal("needs 1 gpus with 4 GiB free, 0 free")


def test_strangers_that_come_later_are_told_from_our_own() -> None:
    books = ledger()
    one_gpu = {"B": GpuReading(healthy=False)}
    admitted(books, "1", Needs(gpu_memory="8GiB"), {"A": used(0), **one_gpu})
    books.started("1", 77)
    mixed = {"A": used(6, process(77, 1), process(5, 5)), **one_gpu}
    assert isinstance(books.admit("2", Needs(gpu_memory="4GiB"), mixed, NOW), Refusal)
    assert isinstance(books.admit("3", Needs(gpu_memory="3GiB"), mixed, NOW), Lease)


def test_a_share_that_uses_more_than_it_named_counts_as_it_is() -> None:
    books = ledger()
    one_gpu = {"B": GpuReading(healthy=False)}
    admitted(books, "1", Needs(gpu_memory="2GiB"), {"A": used(0), **one_gpu})
    books.started("1", 77)
    greedy = {"A": used(12, process(77, 12)), **one_gpu}
    assert isinstance(books.admit("2", Needs(gpu_memory="5GiB"), greedy, NOW), Refusal)
    assert isinstance(books.admit("3", Needs(gpu_memory="4GiB"), greedy, NOW), Lease)


def test_a_share_is_back_though_its_neighbour_works() -> None:
    books = ledger()
    for run_id, session in (("1", 71), ("2", 72)):
        assert admitted(books, run_id, Needs(gpu_memory="4GiB")).gpu_uuids == ("A",)
        books.started(run_id, session)
    books.begin_release("1", LATER)
    assert books.confirm({"A": used(7, process(71, 3), process(72, 4)), "B": used(0)}, LATER) == []
    assert books.confirm({"A": used(4, process(72, 4)), "B": used(0)}, LATER) == ["1"]


def test_encoder_sessions_of_strangers_count() -> None:
    books = ledger()
    busy = {"A": GpuReading(encoder_sessions=3), "B": GpuReading(encoder_sessions=2)}
    assert admitted(books, "1", Needs(nvenc=1), busy).gpu_uuids == ("B",)
    assert refused(books, Needs(nvenc=1), busy) == Refusal("needs 1 gpus with 1 encoder sessions, 0 free")


def test_one_run_has_one_lease() -> None:
    books = ledger()
    admitted(books, "1", Needs(gpus=1))
    assert books.admit("1", Needs(gpus=1), IDLE, NOW) == Refusal("already has a lease here")
    books.begin_release("1", LATER)
    assert books.admit("1", Needs(gpus=1), IDLE, NOW) == Refusal("still holds a GPU after its last attempt")


def test_a_withdrawn_admission_leaves_nothing() -> None:
    books = ledger()
    admitted(books, "1", Needs(cpus=4, gpus=2))
    books.withdraw("1")
    assert books.leases == ()
    admitted(books, "2", Needs(cpus=4, gpus=2))


def test_unknown_runs_are_no_error() -> None:
    books = ledger()
    books.withdraw("x")
    books.started("x", 1)
    assert books.begin_release("x", NOW)


def test_usage_shows_the_books() -> None:
    books = ledger(limit=5)
    admitted(books, "1", Needs(cpus=0.5, memory="1GiB", gpu_memory="4GiB", nvenc=1))
    usage = books.usage(IDLE)
    assert (usage.cpus_free, usage.memory_free, usage.slots_free) == (3.5, 7 * GIB, 4)
    assert [(state.free_memory, state.nvenc, state.leases) for state in usage.gpus] == [
        (12 * GIB, 1, 1),
        (16 * GIB, 0, 0),
    ]


async def test_two_hundred_arrivals_at_once_never_overcommit() -> None:
    books = ledger(limit=20)
    dice = random.Random(7)
    choices = [
        Needs(cpus=0.3),
        Needs(memory="1GiB"),
        Needs(gpus=1),
        Needs(gpu_memory="5GiB", nvenc=1),
        Needs(gpus=2),
    ]
    finished = []

    async def arrive(number: int) -> None:
        needs = dice.choice(choices)
        while isinstance(books.admit(str(number), needs, IDLE, NOW), Refusal):
            await asyncio.sleep(0)
        check(books)
        for _ in range(dice.randrange(4)):
            await asyncio.sleep(0)
        books.begin_release(str(number), NOW)
        books.confirm(IDLE, NOW)
        finished.append(number)

    await asyncio.gather(*(arrive(number) for number in range(200)))
    assert len(finished) == 200
    assert books.leases == ()


def check(books: Ledger) -> None:
    """Fails when more is handed out than there is."""
    has, active = books.capacity, [lease for lease in books.leases if lease.releasing is None]
    assert sum(lease.needs.cpus for lease in active) <= has.cpus + 1e-6
    assert sum(lease.needs.memory for lease in active) <= has.memory
    assert has.limit is None or len(active) <= has.limit
    for gpu in has.gpus:
        holders = [lease for lease in books.leases if gpu.uuid in lease.gpu_uuids]
        assert len(holders) <= 1 or not any(lease.whole for lease in holders)
        assert sum(lease.needs.gpu_memory for lease in holders) <= gpu.memory
        assert sum(lease.needs.nvenc for lease in holders) <= gpu.nvenc
        assert sum(lease.needs.nvdec for lease in holders) <= gpu.nvdec
