"""Words of placement: who is in the fleet, what a task asks, what it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from skald_work_pools.devices import Capacity, Gpu
from skald_work_pools.leases import Usage
from skald_work_pools.needs import Needs

NEVER = "no member of the fleet could ever take it"
LOWEST_PRIORITY, HIGHEST_PRIORITY = 0, 10

Used = Usage | int
"""What a member says it has handed out: a node's books with each lease, or a mere number of tasks."""


class State(StrEnum):
    """Of a member: only one that is online is given tasks."""

    ONLINE = "online"
    SUSPICIOUS = "suspicious"
    OFFLINE = "offline"
    DRAINED = "drained"


class Order(StrEnum):
    """Which members come first: the emptiest, or the fullest that still have room."""

    SPREAD = "spread"
    PACK = "pack"


@dataclass(frozen=True, slots=True)
class Settings:
    """``suspicious`` and ``offline`` after so long without a report; ``forget`` then, if still silent.

    ``lease`` is how long a grant holds that its member has not confirmed, where the request names no time.
    """

    suspicious: timedelta = timedelta(seconds=10)
    offline: timedelta = timedelta(seconds=20)
    forget: timedelta = timedelta(hours=1)
    lease: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Member:
    """A node, or a dtask worker, as the fleet sees it; its ``capacity.limit`` are its slots.

    ``task_types``: what it runs, ``None`` where it takes any; ``warm``: those it starts at once.
    ``resources``: countable things of its own; ``data``: names of what it holds, for tasks that read it.
    """

    id: str
    capacity: Capacity
    address: str = ""
    task_types: frozenset[str] | None = None
    warm: frozenset[str] = frozenset()
    resources: Mapping[str, int] = field(default_factory=dict)
    data: frozenset[str] = frozenset()
    drained: bool = False

    @property
    def tags(self) -> frozenset[str]:
        return self.capacity.tags

    @property
    def slots(self) -> int | None:
        return self.capacity.limit

    @property
    def cpus(self) -> float:
        return self.capacity.cpus

    @property
    def memory(self) -> int:
        return self.capacity.memory

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        return self.capacity.gpus


@dataclass(frozen=True, slots=True)
class Request:
    """What a task asks. ``alternatives`` are tried in this order; ``node`` pins it to one member.

    ``resources`` are countable, of the fleet where it has them, else of the member. ``data``: names of what it
    reads. ``labels`` are the task's own, for limits such as "at most 4 streams of this camera". ``deadline``: the
    latest start. ``duration``: how long it is expected to run, where anybody knows.
    ``lease``: how long an unconfirmed grant holds.

    Raises:
        ValueError: the priority is out of range, or there is no alternative.
    """

    task: str
    alternatives: tuple[Needs, ...] = (Needs(),)
    priority: int = LOWEST_PRIORITY
    required: frozenset[str] = frozenset()
    preferred: frozenset[str] = frozenset()
    forbidden: frozenset[str] = frozenset()
    node: str | None = None
    order: Order = Order.SPREAD
    deadline: datetime | None = None
    owner: str = ""
    task_type: str = ""
    data: frozenset[str] = frozenset()
    resources: Mapping[str, int] = field(default_factory=dict)
    labels: frozenset[str] = frozenset()
    duration: timedelta | None = None
    lease: timedelta | None = None

    def __post_init__(self) -> None:
        if not LOWEST_PRIORITY <= self.priority <= HIGHEST_PRIORITY:
            raise ValueError(
                f"the priority is {self.priority}; it goes from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}"
            )
        if not self.alternatives:
            raise ValueError("a request has at least one alternative")


@dataclass(frozen=True, slots=True)
class Grant:
    """A task's place: ``alternative`` is the number of the needs that were met, ``gpus`` are uuids.

    It ends at ``expires`` unless its member has confirmed it by then.
    """

    request: Request
    member: str
    address: str
    alternative: int
    gpus: tuple[str, ...]
    since: datetime
    expires: datetime

    @property
    def task(self) -> str:
        return self.request.task

    @property
    def needs(self) -> Needs:
        return self.request.alternatives[self.alternative]


@dataclass(frozen=True, slots=True)
class Refusal:
    """No place now; ``never`` when no member of the fleet could ever take it. Per member: ``Fleet.explain``."""

    task: str
    reason: str
    never: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """A member kept for a task that waits; ``expected`` is its start, ``None`` while nobody can know it."""

    request: Request
    alternative: int
    member: str
    expected: datetime | None

    @property
    def needs(self) -> Needs:
        return self.request.alternatives[self.alternative]


@dataclass(frozen=True, slots=True)
class Reservation:
    """Members that only an owner's tasks may use, until its end; ``name`` tells it from others."""

    name: str
    owner: str
    members: frozenset[str]
    until: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task in the queue, with what lacks, and the member that is held for it, where one is."""

    request: Request
    since: datetime
    reason: str
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A member at one moment. ``tasks``: those it reports and those granted since; ``load``: from 0 to 1."""

    member: Member
    state: State
    seen: datetime
    tasks: int
    load: float
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A member fell silent, or was forgotten (``after`` is ``None``); ``lost`` are the grants that ended by it."""

    member: str
    before: State
    after: State | None
    lost: tuple[Grant, ...] = ()
