"""A task's share of a GPU: what its environment says of it, and what becomes of a task that takes more; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from skald_work_pools.devices import Gpu, Readings
from skald_work_pools.leases import TOLERANCE, Lease

VISIBLE, MEMORY, FRACTION = "CUDA_VISIBLE_DEVICES", "SKALD_GPU_MEMORY", "SKALD_GPU_MEMORY_FRACTION"
PATIENCE = timedelta(seconds=10)
"""For this long a task may use more than its share: what it frees soon was a peak."""


class Overuse(StrEnum):
    """What becomes of a task that uses more of a GPU than its share."""

    WARN = "warn"
    KILL = "kill"


@dataclass(frozen=True, slots=True)
class Excess:
    """A task's processes use ``uses`` bytes of a GPU on which they may use ``may``."""

    uuid: str
    uses: int
    may: int

    def __str__(self) -> str:
        return f"it uses {self.uses / 2**30:.1f} GiB of GPU {self.uuid}, and its share is {self.may / 2**30:.1f} GiB"


@dataclass(frozen=True, slots=True)
class Judgement:
    """``since``: when each task that uses too much was first seen to. Task ids to tell of, and to end."""

    since: Mapping[str, datetime]
    warned: tuple[str, ...] = ()
    killed: tuple[str, ...] = ()


def device_environment(lease: Lease, gpus: Iterable[Gpu]) -> dict[str, str | None]:
    """The variables of a task's process on a node with ``gpus``; ``None``: it has no such variable.

    A share is told in bytes, and as a part of the smallest of its GPUs, as frameworks take it to bound themselves.
    """
    held = [gpu for gpu in gpus if gpu.uuid in lease.gpu_uuids]
    share = lease.needs.gpu_memory if held else 0
    fraction = min(1.0, share / min(gpu.memory for gpu in held)) if share else 0.0
    return {
        VISIBLE: ",".join(lease.gpu_uuids),
        MEMORY: str(share) if share else None,
        FRACTION: f"{fraction:.4f}" if share else None,
    }


def excess(lease: Lease, readings: Readings) -> Excess | None:
    """The most by which the lease's processes exceed its share of a GPU; whole GPUs have no share."""
    may = lease.needs.gpu_memory
    if not may or lease.session is None or lease.releasing is not None:
        return None
    used = {
        uuid: sum(item.memory or 0 for item in reading.processes if item.session == lease.session)
        for uuid in lease.gpu_uuids
        if (reading := readings.get(uuid)) is not None
    }
    uuid = max(used, key=used.__getitem__, default=None)
    if uuid is None or used[uuid] <= may + TOLERANCE:
        return None
    return Excess(uuid, used[uuid], may)


def judge(
    since: Mapping[str, datetime], exceeding: Iterable[str], policy: Overuse, now: datetime
) -> Judgement:
    """Who of those exceeding now is told so, and who has done so for too long."""
    known = {run: since.get(run, now) for run in sorted(exceeding)}
    killed = tuple(run for run, first in known.items() if policy is Overuse.KILL and now - first >= PATIENCE)
    return Judgement(known, tuple(run for run in known if run not in since), killed)
