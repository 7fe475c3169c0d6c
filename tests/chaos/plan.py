"""Which faults, in what order and for how long: a pure function of a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

FREEZE_SECONDS = 10.0
"""How long a process is stopped, a disk full, a connection cut."""
LONGEST_AWAY = 8.0
"""Seconds after which what was killed is started again, at the latest."""
_BETWEEN = (1.0, 4.0)
_RECOVERY_SECONDS = 4.0
"""What a start takes, for an estimate."""


class Target(StrEnum):
    BRIDGE = "bridge"
    KAFKA = "Kafka"
    REDIS = "Redis"
    MONGO = "MongoDB"
    PREFECT = "Prefect server"
    NODE = "node"
    DISK = "the journal's disk"
    LINK = "bridge to Redis"


class How(StrEnum):
    KILL = "SIGKILL"
    FREEZE = "SIGSTOP"
    RESTART = "restart"
    FULL = "full"
    CUT = "cut"


_PROCESS = (How.KILL, How.FREEZE, How.RESTART)
HOWS: dict[Target, tuple[How, ...]] = {
    **dict.fromkeys(Target, _PROCESS),
    Target.DISK: (How.FULL,),
    Target.LINK: (How.CUT,),
}


@dataclass(frozen=True)
class Fault:
    """``pause`` and ``away`` are seconds: before it, and until it is over; ``node`` counts from 0."""

    target: Target
    how: How
    pause: float
    away: float
    node: int = 0

    @property
    def name(self) -> str:
        return f"{self.target}: {self.how}"


def plan(seed: int, count: int, *, nodes: int = 2, seconds: float = FREEZE_SECONDS) -> list[Fault]:
    """Rounds in which each target has one fault; after three rounds each had all of its kinds."""
    rng = random.Random(seed)
    turns = _turns(rng)
    return [_fault(rng, *next(turns), nodes, seconds) for _ in range(count)]


def estimated_seconds(faults: list[Fault]) -> float:
    return sum(fault.pause + fault.away + _RECOVERY_SECONDS for fault in faults)


def _turns(rng: random.Random) -> Iterator[tuple[Target, How]]:
    hows = {target: rng.sample(kinds, len(kinds)) for target, kinds in HOWS.items()}
    turn = 0
    while True:
        for target in rng.sample(list(Target), len(Target)):
            yield target, hows[target][turn % len(hows[target])]
        turn += 1


def _fault(rng: random.Random, target: Target, how: How, nodes: int, seconds: float) -> Fault:
    longest = min(LONGEST_AWAY, seconds)
    away = {How.KILL: rng.uniform(0.0, longest), How.RESTART: 0.0}.get(how, seconds)
    return Fault(target, how, rng.uniform(*_BETWEEN), away, rng.randrange(nodes))
