"""A fleet's day on a virtual clock: tasks come in waves and bursts, nodes fail and return, placement decides.

Beside the fleet that decides stands the world as it is: what each node really runs. It says whether a task ran twice at
once, whether a node was given more than it has, and whether one is missing at the end.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from heapq import heappop, heappush

from skald_work_pools.devices import Capacity, Gpu
from skald_work_pools.gpu_choice import GpuState
from skald_work_pools.leases import Usage
from skald_work_pools.needs import Needs
from skald_work_pools.placement.fleet import Fleet
from skald_work_pools.placement.model import Grant, Member, Request, Settings
from skald_work_pools.placement.queue import Queue, QueueSettings

GIB = 2**30
START = datetime(2030, 1, 1, tzinfo=UTC)
NOTICED_AFTER = 20.0
"""Seconds until a dead node is taken for dead."""
AWAY = 1800.0
"""Mean seconds until it is back."""
SAMPLED_EVERY = 300.0
_FOR_EVER = timedelta(days=365)


@dataclass(frozen=True)
class Kind:
    """A sort of task: ``share`` of all, ``minutes`` its median length."""

    name: str
    share: float
    priority: int
    minutes: float
    alternatives: tuple[Needs, ...]


KINDS = (
    Kind("alarm", 0.05, 10, 5, (Needs(cpus=1, memory=GIB),)),
    Kind("inference", 0.2, 7, 60, (Needs(cpus=1, gpu_memory=10 * GIB),)),
    Kind("analyze", 0.3, 5, 30, (Needs(cpus=1, gpu_memory=4 * GIB), Needs(cpus=8, memory=8 * GIB))),
    Kind("transcode", 0.42, 3, 60, (Needs(cpus=8, memory=8 * GIB),)),
    Kind("train", 0.03, 2, 180, (Needs(cpus=8, gpus=4),)),
)
_SPREAD = 0.8
"""Of the lengths' logarithm."""


@dataclass(frozen=True)
class Terms:
    """``load``: asked on average, as a part of the scarcer of CPUs and GPUs; ``failures``: of nodes, an hour."""

    nodes: int = 10_000
    hours: float = 24.0
    load: float = 0.9
    failures: float = 0.01
    bursts: int = 6
    seed: int = 7


@dataclass
class _Node:
    member: Member
    alive: bool = True
    running: dict[str, Grant] = field(default_factory=dict)


@dataclass
class _Task:
    kind: Kind
    length: float
    came: float
    attempt: int = 0
    started: float | None = None
    ended: bool = False


@dataclass(frozen=True)
class Sample:
    """At ``hour``: parts of living nodes' CPUs and GPU memory in use, and how many tasks wait."""

    hour: float
    cpus: float
    gpus: float
    waiting: int


@dataclass
class Result:
    """``waits``: seconds until the first start, by priority."""

    arrived: int = 0
    ended: int = 0
    moved: int = 0
    failed_nodes: int = 0
    lost: int = 0
    double: int = 0
    overcommitted: int = 0
    waits: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    samples: list[Sample] = field(default_factory=list)


class Day:
    """``run`` plays it once."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._random = random.Random(terms.seed)
        never = timedelta(days=365)  # who is dead is told by the world, not by silence
        self._fleet = Fleet(terms.seed, Settings(suspicious=never, offline=never))
        self._queue = Queue(self._fleet, QueueSettings(aging=timedelta(minutes=10)))
        self._nodes = {
            name: _Node(_member(self._random, name)) for name in map("node-{}".format, range(terms.nodes))
        }
        self._tasks: dict[str, _Task] = {}
        self._places: dict[str, _Node] = {}
        """Where each task really began last."""
        self._unstarted = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._now = 0.0
        self._room = False
        self._pumped = 0.0
        self.result = Result()

    def run(self, told: Callable[[float], None] = lambda hour: None) -> Result:
        """``told`` hears of each hour that has passed."""
        for node in self._nodes.values():
            self._report(node)
        self._plan()
        end, hour = self._terms.hours * 3600, 0
        while self._events and self._events[0][0] < end:
            self._now, _, happens = heappop(self._events)
            happens()
            if self._room and self._now - self._pumped >= 1:
                self._pump()
            if self._now // 3600 > hour:
                hour = int(self._now // 3600)
                told(hour)
        self._judge()
        return self.result

    def _at(self, seconds: float, happens: Callable[[], None]) -> None:
        self._count += 1
        heappush(self._events, (seconds, self._count, happens))

    def _time(self) -> datetime:
        return START + timedelta(seconds=self._now)

    def _plan(self) -> None:
        terms, seconds = self._terms, self._terms.hours * 3600
        rate = terms.load * _rate(self._nodes.values())
        self._at(0.0, partial(self._next_arrival, rate))
        for number in range(terms.bursts):
            at = seconds * (number + self._random.random()) / terms.bursts
            self._at(at, partial(self._burst, round(rate * 600)))
        failures = terms.failures * terms.nodes / 3600
        if failures:
            self._at(self._random.expovariate(failures), partial(self._next_failure, failures))
        self._at(0.0, self._sample)

    def _next_arrival(self, rate: float) -> None:
        self._arrive()
        by_hour = 1 + 0.4 * math.sin(2 * math.pi * (self._now / 86_400 - 0.25))
        self._at(self._now + self._random.expovariate(rate * by_hour), partial(self._next_arrival, rate))

    def _burst(self, count: int) -> None:
        """Ten minutes' worth at once."""
        for _ in range(count):
            self._arrive()

    def _arrive(self) -> None:
        kind = self._random.choices(KINDS, [each.share for each in KINDS])[0]
        length = 60 * kind.minutes * math.exp(self._random.gauss(0, _SPREAD))
        name = f"task-{len(self._tasks)}"
        self._tasks[name] = _Task(kind, length, self._now)
        self.result.arrived += 1
        self._unstarted += 1
        self._submit(name)

    def _submit(self, name: str) -> None:
        kind = self._tasks[name].kind
        request = Request(
            name, kind.alternatives, priority=kind.priority, task_type=kind.name, lease=_FOR_EVER
        )
        answer = self._queue.submit(request, self._time())
        if isinstance(answer, Grant):
            self._begin(answer)

    def _pump(self) -> None:
        self._room, self._pumped = False, self._now
        for answer in self._queue.pump(self._time()):
            assert isinstance(answer, Grant)
            self._begin(answer)

    def _begin(self, grant: Grant) -> None:
        """A grant reaches its node; one that is dead and not known to be takes nothing up."""
        task, node = self._tasks[grant.task], self._nodes[grant.member]
        if task.started is None:
            task.started = self._now
            self._unstarted -= 1
            self.result.waits[task.kind.priority].append(self._now - task.came)
        if not node.alive:
            return
        before = self._places.get(grant.task)
        if task.ended or (before is not None and grant.task in before.running):
            self.result.double += 1
        self._places[grant.task] = node
        node.running[grant.task] = grant
        self.result.overcommitted += not _fits(node)
        task.attempt += 1
        self._at(self._now + task.length, partial(self._end, grant.task, task.attempt))

    def _end(self, name: str, attempt: int) -> None:
        task = self._tasks[name]
        if task.attempt != attempt or task.ended:
            return
        task.ended = True
        self.result.ended += 1
        del self._places[name].running[name]
        self._fleet.release(name, self._time())
        self._room = True

    def _next_failure(self, rate: float) -> None:
        node = self._random.choice(list(self._nodes.values()))
        if node.alive:
            node.alive = False
            self.result.failed_nodes += 1
            for name in node.running:
                self._tasks[name].attempt += 1  # its end, which was planned, does not come
            node.running.clear()
            self._at(self._now + NOTICED_AFTER, partial(self._noticed, node))
            back = NOTICED_AFTER + self._random.expovariate(1 / AWAY)
            self._at(self._now + back, partial(self._return, node))
        self._at(self._now + self._random.expovariate(rate), partial(self._next_failure, rate))

    def _noticed(self, node: _Node) -> None:
        for grant in self._fleet.remove(node.member.id):
            self.result.moved += 1
            self._submit(grant.task)
        self._room = True

    def _return(self, node: _Node) -> None:
        node.alive = True
        self._report(node)
        self._room = True

    def _report(self, node: _Node) -> None:
        has = node.member.capacity
        states = tuple(GpuState(gpu) for gpu in has.gpus)
        self._fleet.report(node.member, Usage(has.cpus, has.memory, None, states, ()), self._time())

    def _sample(self) -> None:
        living = [node for node in self._nodes.values() if node.alive]
        cpus = sum(node.member.cpus for node in living)
        memory = sum(gpu.memory for node in living for gpu in node.member.gpus)
        running = [grant for node in living for grant in node.running.values()]
        self.result.samples.append(
            Sample(
                self._now / 3600,
                sum(grant.needs.cpus for grant in running) / cpus,
                sum(map(self._gpu_bytes, running)) / memory if memory else 0.0,
                self._unstarted,
            )
        )
        self._at(self._now + SAMPLED_EVERY, self._sample)

    def _gpu_bytes(self, grant: Grant) -> int:
        if grant.needs.gpu_memory:
            return grant.needs.gpu_memory * len(grant.gpus)
        held = {gpu.uuid: gpu.memory for gpu in self._nodes[grant.member].member.gpus}
        return sum(held[uuid] for uuid in grant.gpus)

    def _judge(self) -> None:
        """Whoever has not ended runs, waits, or is known to the fleet as granted to a node that has just died."""
        waiting = {each.request.task for each in self._queue.waiting()}
        for name, task in self._tasks.items():
            granted = self._fleet.grant(name)
            if not task.ended and name not in waiting and granted is None:
                self.result.lost += 1


def _member(draw: random.Random, name: str) -> Member:
    """Half have no GPU; the others one to eight, of 24 or 80 GiB."""
    if draw.random() < 0.5:
        return Member(name, Capacity(32, 128 * GIB))
    size, count = draw.choice([24, 80]) * GIB, draw.choice([1, 2, 4, 8])
    gpus = tuple(Gpu(f"{name}-{number}", "X", size) for number in range(count))
    return Member(name, Capacity(8 * count, 64 * count * GIB, gpus))


def _rate(nodes: Collection[_Node]) -> float:
    """Tasks a second that would keep all CPUs, or all GPUs' memory, busy: the lower."""
    gpus = [gpu.memory for node in nodes for gpu in node.member.gpus]
    cpus, memory = sum(node.member.cpus for node in nodes), sum(gpus)
    asked_cpus = asked_memory = 0.0
    for kind in KINDS:
        needs, seconds = kind.alternatives[0], kind.share * 60 * kind.minutes * math.exp(_SPREAD**2 / 2)
        asked_cpus += seconds * needs.cpus
        asked_memory += seconds * (needs.gpu_memory or needs.gpus * memory / max(1, len(gpus)))
    return min(cpus / asked_cpus, memory / asked_memory if memory else math.inf)


def _fits(node: _Node) -> bool:
    """Whether what it really runs is no more than it has."""
    has, running = node.member, list(node.running.values())
    left = {gpu.uuid: gpu.memory for gpu in has.gpus}
    for grant in running:
        for uuid in grant.gpus:
            left[uuid] -= grant.needs.gpu_memory or has.gpus[0].memory
    cpus, memory = sum(each.needs.cpus for each in running), sum(each.needs.memory for each in running)
    return cpus <= has.cpus and memory <= has.memory and min(left.values(), default=0) >= 0
