"""What node and bridge tell each other over the link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from skald_work_pools.devices import Capacity
from skald_work_pools.gpu_choice import GpuState
from skald_work_pools.leases import Lease

Name = Annotated[str, Field(min_length=1, max_length=300)]
Text = Annotated[str, Field(max_length=2000)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Free:
    """What a node has left: ``cpus`` in cores, ``memory`` in bytes, ``slots`` in tasks or ``None``: no limit."""

    cpus: Finite
    memory: int
    slots: int | None = None
    gpus: tuple[GpuState, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What changes of a node while it runs.

    ``leases`` are named by the ids of their flow runs; ``types`` are the task types whose code is loaded, ``needs``
    what these declare (fields of ``Needs`` that are not zero). ``draining``: it takes nothing new. ``waiting``: it
    knows of runs that it could not take yet, and that come before any offer.
    """

    free: Free
    leases: tuple[Lease, ...] = ()
    types: frozenset[Name] = frozenset()
    needs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    draining: bool = False
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class Hello:
    """The node's first message. ``life`` is the id of this start of it; without ``queues`` it serves all."""

    node: Name
    life: Name
    pool_id: Name
    pool: Name
    capacity: Capacity
    report: Report
    queues: frozenset[Name] = frozenset()


@dataclass(frozen=True, slots=True)
class Changes:
    """What is other than in the report before; ``None`` is "as it was". Leases are new, changed, or ``ended``."""

    free: Free | None = None
    leases: tuple[Lease, ...] = ()
    ended: tuple[Name, ...] = ()
    types: frozenset[Name] | None = None
    needs: Mapping[str, Mapping[str, Any]] | None = None
    draining: bool | None = None
    waiting: bool | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """The node has a lease for the run."""

    run_id: Name


@dataclass(frozen=True, slots=True)
class Refused:
    """The node does not take the run; ``permanent``: not even if it were idle."""

    run_id: Name
    reason: Text
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class Alive:
    """Either side is there, and nothing has changed."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """The bridge's first message: it wants to hear from the node every ``every`` seconds."""

    every: Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Offer:
    """``run``: the flow run as Prefect's API told it when it was created; ``queue`` is its work queue's name."""

    run_id: Name
    pool_id: Name
    queue: Name
    run: Mapping[str, Any]


FromNode = Hello | Changes | Taken | Refused | Alive
FromBridge = Welcome | Offer | Alive
Message = FromNode | FromBridge
