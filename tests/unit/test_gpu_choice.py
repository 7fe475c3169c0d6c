"""Which GPUs a task gets."""

from __future__ import annotations

import pytest

from skald_work_pools.devices import Gpu
from skald_work_pools.gpu_choice import GpuState, choose_gpus, fits, takes_whole
from skald_work_pools.needs import Needs

GIB = 2**30


def state(
    uuid: str, memory: int = 16, taken: int = 0, foreign: int = 0, leases: int = 0, **more: object
) -> GpuState:
    """Sizes in GiB."""
    gpu = Gpu(uuid, "X", memory * GIB, nvenc=3, nvdec=2)
    return GpuState(gpu, taken=taken * GIB, foreign=foreign * GIB, leases=leases, **more)  # type: ignore[arg-type]


def test_no_gpus_needed() -> None:
    assert choose_gpus(Needs(cpus=1), [state("a")]) == ()


def test_a_share_is_packed_where_least_is_left() -> None:
    states = [state("empty"), state("half", taken=8, leases=1), state("fuller", taken=11, leases=1)]
    assert choose_gpus(Needs(gpu_memory="4GiB"), states) == ("fuller",)
    assert choose_gpus(Needs(gpu_memory="6GiB"), states) == ("half",)
    assert choose_gpus(Needs(gpu_memory="9GiB"), states) == ("empty",)
    assert choose_gpus(Needs(gpu_memory="17GiB"), states) is None


def test_a_share_opens_no_fresh_gpu_while_a_shared_one_has_room() -> None:
    states = [state("small-and-idle", memory=8), state("shared", memory=80, taken=10, leases=1)]
    assert choose_gpus(Needs(gpu_memory="4GiB"), states) == ("shared",)


def test_whole_gpus_go_to_the_least_used() -> None:
    states = [state("display", memory=100, foreign=3), state("shared", leases=1), state("idle")]
    assert choose_gpus(Needs(gpus=1), states) == ("idle",)
    assert choose_gpus(Needs(gpus=2), states) == ("idle", "display")
    assert choose_gpus(Needs(gpus=3), states) is None


def test_strangers_keep_a_gpu_from_being_whole() -> None:
    assert not fits(Needs(gpus=1), state("a", foreign=4, taken=4))
    assert fits(Needs(gpu_memory="12GiB"), state("a", foreign=4, taken=4))
    assert not fits(Needs(gpu_memory="13GiB"), state("a", foreign=4, taken=4))


@pytest.mark.parametrize("needs", [Needs(gpus=1), Needs(gpu_memory=1), Needs(nvenc=1)])
def test_sick_and_whole_taken_gpus_are_avoided(needs: Needs) -> None:
    assert choose_gpus(needs, [state("sick", healthy=False), state("taken", whole=True, leases=1)]) is None
    assert choose_gpus(needs, [state("sick", healthy=False), state("well")]) == ("well",)


def test_sessions_are_counted_on_each_gpu() -> None:
    states = [state("a", nvenc=3, leases=1), state("b", nvenc=1, leases=1), state("c", nvdec=2, leases=1)]
    assert choose_gpus(Needs(nvenc=2), states) == ("b",)
    assert choose_gpus(Needs(gpus=2, nvenc=2), states) == ("b", "c")
    assert choose_gpus(Needs(gpus=3, nvenc=2), states) is None
    assert choose_gpus(Needs(gpus=2, nvenc=1, nvdec=1), states) is None


def test_sessions_or_memory_mean_a_share() -> None:
    assert takes_whole(Needs(gpus=2))
    assert not takes_whole(Needs(gpus=2, gpu_memory="1GiB"))
    assert not takes_whole(Needs(nvenc=1))
    assert not takes_whole(Needs(cpus=4))


def test_several_gpus_are_distinct() -> None:
    chosen = choose_gpus(Needs(gpus=2, gpu_memory="1GiB"), [state("a"), state("b", taken=1, leases=1)])
    assert chosen == ("b", "a")
