"""Which GPUs of a node a task gets: shares are packed, whole GPUs spread, sick ones avoided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skald_work_pools.devices import Gpu
from skald_work_pools.needs import Needs

IDLE_SHARE = 0.05
"""A GPU counts as whole while strangers hold at most this part of its memory (a display, a driver's own)."""


@dataclass(frozen=True, slots=True)
class GpuState:
    """A GPU with what is taken of it.

    ``taken`` bytes reserved, or in use by anybody; ``foreign`` bytes not ours; ``whole`` when one lease has
    all of it; ``leases`` the number of them; ``nvenc`` and ``nvdec`` sessions taken.
    """

    gpu: Gpu
    healthy: bool = True
    taken: int = 0
    foreign: int = 0
    whole: bool = False
    leases: int = 0
    nvenc: int = 0
    nvdec: int = 0

    @property
    def free_memory(self) -> int:
        return 0 if self.whole or not self.healthy else max(0, self.gpu.memory - self.taken)


def takes_whole(needs: Needs) -> bool:
    """Whether the GPUs of these needs are shared with nobody: no size and no sessions are named."""
    return needs.gpus > 0 and not (needs.gpu_memory or needs.nvenc or needs.nvdec)


def could_fit(needs: Needs, gpu: Gpu) -> bool:
    """Whether an idle, healthy GPU of this kind satisfies the needs."""
    return needs.gpu_memory <= gpu.memory and needs.nvenc <= gpu.nvenc and needs.nvdec <= gpu.nvdec


def fits(needs: Needs, state: GpuState) -> bool:
    """Whether the GPU satisfies the needs now."""
    if not state.healthy or state.whole:
        return False
    if takes_whole(needs):
        return state.leases == 0 and state.foreign <= state.gpu.memory * IDLE_SHARE
    return (
        state.taken + needs.gpu_memory <= state.gpu.memory
        and state.nvenc + needs.nvenc <= state.gpu.nvenc
        and state.nvdec + needs.nvdec <= state.gpu.nvdec
    )


def choose_gpus(needs: Needs, states: Sequence[GpuState]) -> tuple[str, ...] | None:
    """The uuids of the GPUs to take, best first; ``None`` when too few fit now.

    A share goes where the least memory is left (the rest stays free for whole GPUs), a whole GPU is the least
    used one; equals keep the order of ``states``.
    """
    if not needs.gpus:
        return ()
    fitting = [state for state in states if fits(needs, state)]
    if len(fitting) < needs.gpus:
        return None
    fitting.sort(key=_whole_order if takes_whole(needs) else _share_order)
    return tuple(state.gpu.uuid for state in fitting[: needs.gpus])


def _share_order(state: GpuState) -> tuple[bool, int]:
    return state.leases == 0, state.free_memory


def _whole_order(state: GpuState) -> int:
    return state.foreign
