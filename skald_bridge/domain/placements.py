"""What a request for a place is answered; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from skald_work_pools.needs import Needs

NOTHING = Needs()


@dataclass(frozen=True, slots=True)
class Granted:
    """A place until ``expires``; ``gpus`` are numbers of the worker's devices.

    ``queued``: there was none at once.
    """

    worker_id: str
    address: str
    expires: datetime
    gpus: tuple[int, ...] = ()
    queued: bool = False


@dataclass(frozen=True, slots=True)
class NoWorker:
    """None has room now, or none could ever take it; ``reason`` says which."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Queued:
    """It keeps its place in the line; ``position`` counts from 1."""

    position: int


@dataclass(frozen=True, slots=True)
class Waited:
    """There was no place in time, and it waits no longer."""


@dataclass(frozen=True, slots=True)
class Full:
    """Too many wait already."""


Outcome = Granted | NoWorker | Queued | Waited | Full


@dataclass(frozen=True, slots=True)
class Kept:
    """A grant as it outlives the bridge's process, with what the task asked for."""

    task_id: str
    worker_id: str
    address: str
    expires: datetime
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    needs: Needs = NOTHING
