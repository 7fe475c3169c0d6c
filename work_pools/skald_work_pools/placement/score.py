"""How well a member's room suits a task, as a rank: the lowest is the best, equal ranks are near-equals."""

from __future__ import annotations

from skald_work_pools.gpu_choice import IDLE_SHARE
from skald_work_pools.placement.kinds import Want
from skald_work_pools.placement.room import Room

NO_ROOM = -1
STEPS = 25
"""Loads less than 1/25 apart may have the same rank."""
DATA = 4
"""A member that holds what a task reads counts as so many ranks better."""
_LOADS = 64
_GIB = 2**30
_MOST = 255


def rank(want: Want, room: Room, lacks: float) -> int:
    """``NO_ROOM``, or the rank: the fit of the GPUs first, then the load with what is lacking in preferences.

    A member's kind must suit the task; ``lacks`` is what ``suits`` says.
    """
    limit = room.kind.limit
    if limit is not None and room.tasks >= limit:
        return NO_ROOM
    if want.cpus > room.cpus or want.memory > room.memory:
        return NO_ROOM
    if want.resources:
        has = room.resources
        if has is None or any(count > has[name] for name, count in want.resources):
            return NO_ROOM
    load = room.load if room.load > 0.0 else 0.0
    if want.pack:
        load = 1.0 - load
    found = int((load + lacks) * STEPS)
    if found >= _LOADS:
        found = _LOADS - 1
    if not want.gpus:
        return found
    fit = _whole_fit(want, room) if want.whole else _share_fit(want, room)
    return NO_ROOM if fit < 0 else fit * _LOADS + found


def _share_fit(want: Want, room: Room) -> int:
    """Devices that are shared already first, then those where the least memory is left."""
    count, memory, nvenc, nvdec = want.gpus, want.gpu_memory, want.nvenc, want.nvdec
    fits = []
    for state in room.gpus:
        if not state.healthy or state.whole:
            continue
        gpu = state.gpu
        left = gpu.memory - state.taken - memory
        if left >= 0 and state.nvenc + nvenc <= gpu.nvenc and state.nvdec + nvdec <= gpu.nvdec:
            gibibytes = min(left // _GIB, _MOST)
            fits.append(gibibytes if state.leases else _MOST + 1 + gibibytes)
    if len(fits) < count:
        return NO_ROOM
    if count == 1:
        return min(fits)
    fits.sort()
    return fits[count - 1]


def _whole_fit(want: Want, room: Room) -> int:
    """The smallest devices first, then where the fewest idle ones are left, so that sets stay together."""
    idle = [
        state.gpu.memory
        for state in room.gpus
        if state.healthy
        and not state.whole
        and not state.leases
        and state.foreign <= state.gpu.memory * IDLE_SHARE
    ]
    if len(idle) < want.gpus:
        return NO_ROOM
    size = min((max(idle) // _GIB).bit_length(), 15)
    return size * 16 + min(len(idle) - want.gpus, 15)
