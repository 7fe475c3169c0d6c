"""A share of a GPU: what a task is told of it, and when it has taken too much."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from skald_work_pools.devices import Gpu, GpuProcess, GpuReading
from skald_work_pools.gpu_shares import PATIENCE, Excess, Overuse, device_environment, excess, judge
from skald_work_pools.leases import TOLERANCE, Lease
from skald_work_pools.needs import Needs

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GIB = 2**30
GPUS = (Gpu("GPU-a", "A", 16 * GIB), Gpu("GPU-b", "B", 8 * GIB))


def lease(needs: Needs, *uuids: str, session: int | None = 7, releasing: datetime | None = None) -> Lease:
    return Lease("run", needs, uuids, NOW, session, releasing)


def reading(*uses: tuple[int | None, int]) -> GpuReading:
    """Of processes: their session, and bytes."""
    return GpuReading(processes=tuple(GpuProcess(n, size, session) for n, (session, size) in enumerate(uses)))


def test_a_share_is_told_in_bytes_and_as_a_part_of_the_smallest_gpu() -> None:
    told = device_environment(lease(Needs(gpus=2, gpu_memory=4 * GIB), "GPU-a", "GPU-b"), GPUS)
    assert told == {
        "CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b",
        "SKALD_GPU_MEMORY": str(4 * GIB),
        "SKALD_GPU_MEMORY_FRACTION": "0.5000",
    }


@pytest.mark.parametrize("needs", [Needs(gpus=1), Needs(nvenc=1)])
def test_without_a_size_nothing_is_said_of_memory(needs: Needs) -> None:
    told = device_environment(lease(needs, "GPU-a"), GPUS)
    assert told == {
        "CUDA_VISIBLE_DEVICES": "GPU-a",
        "SKALD_GPU_MEMORY": None,
        "SKALD_GPU_MEMORY_FRACTION": None,
    }


def test_a_task_without_gpus_sees_none() -> None:
    assert device_environment(lease(Needs(cpus=1)), GPUS)["CUDA_VISIBLE_DEVICES"] == ""


def test_all_processes_of_the_task_count_and_nobody_elses() -> None:
    share = lease(Needs(gpu_memory=4 * GIB), "GPU-a")
    within = {"GPU-a": reading((7, 2 * GIB), (7, 2 * GIB), (8, 9 * GIB), (None, 9 * GIB))}
    assert excess(share, within) is None
    beyond = {"GPU-a": reading((7, 2 * GIB), (7, 3 * GIB))}
    assert excess(share, beyond) == Excess("GPU-a", 5 * GIB, 4 * GIB)


def test_a_little_more_is_not_too_much() -> None:
    share = lease(Needs(gpu_memory=GIB), "GPU-a")
    assert excess(share, {"GPU-a": reading((7, GIB + TOLERANCE))}) is None
    assert excess(share, {"GPU-a": reading((7, GIB + TOLERANCE + 1))}) is not None


@pytest.mark.parametrize(
    "held",
    [
        lease(Needs(gpus=1), "GPU-a"),
        lease(Needs(gpu_memory=GIB), "GPU-a", session=None),
        lease(Needs(gpu_memory=GIB), "GPU-a", releasing=NOW),
        lease(Needs(gpu_memory=GIB), "GPU-gone"),
    ],
    ids=["a whole GPU", "not begun", "ended", "no reading"],
)
def test_who_has_no_share_to_exceed(held: Lease) -> None:
    assert excess(held, {"GPU-a": reading((7, 9 * GIB), (None, 9 * GIB))}) is None


def test_the_worst_gpu_is_named() -> None:
    share = lease(Needs(gpus=2, gpu_memory=GIB), "GPU-a", "GPU-b")
    found = excess(share, {"GPU-a": reading((7, 2 * GIB)), "GPU-b": reading((7, 3 * GIB))})
    assert found is not None and found.uuid == "GPU-b"
    assert str(found) == "it uses 3.0 GiB of GPU GPU-b, and its share is 1.0 GiB"


def test_it_is_told_once_and_killed_after_a_while() -> None:
    first = judge({}, ["run"], Overuse.KILL, NOW)
    assert (first.warned, first.killed) == (("run",), ())
    soon = judge(first.since, ["run"], Overuse.KILL, NOW + PATIENCE - timedelta(seconds=1))
    assert (soon.warned, soon.killed) == ((), ())
    assert judge(soon.since, ["run"], Overuse.KILL, NOW + PATIENCE).killed == ("run",)


def test_by_the_other_policy_it_is_only_told() -> None:
    first = judge({}, ["run"], Overuse.WARN, NOW)
    assert judge(first.since, ["run"], Overuse.WARN, NOW + 10 * PATIENCE).killed == ()


def test_a_peak_that_has_passed_is_forgotten() -> None:
    first = judge({}, ["run"], Overuse.KILL, NOW)
    calm = judge(first.since, [], Overuse.KILL, NOW + timedelta(seconds=5))
    again = judge(calm.since, ["run"], Overuse.KILL, NOW + PATIENCE)
    assert (again.warned, again.killed) == (("run",), ())
