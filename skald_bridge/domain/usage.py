"""What tasks take of a node, by what they need; pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from skald_bridge.domain.facts import Node
from skald_bridge.domain.queue import Holding
from skald_work_pools.gpu_choice import takes_whole
from skald_work_pools.needs import Needs

_SUSPENDED = "Suspended"
"""Name of the Paused state of a task that has given up its process, and with it what it held."""


@dataclass(frozen=True)
class Gpus:
    """Of one kind: ``memory`` is one's, in bytes."""

    name: str
    memory: int
    count: int


@dataclass(frozen=True)
class Has:
    """What a node has, by what it announced: ``memory`` in bytes, ``slots`` the tasks it takes at once."""

    cpus: float = 0.0
    memory: int = 0
    slots: int | None = None
    gpus: tuple[Gpus, ...] = ()

    @property
    def gpu_count(self) -> int:
        return sum(each.count for each in self.gpus)

    @property
    def gpu_memory(self) -> int:
        return sum(each.count * each.memory for each in self.gpus)


@dataclass(frozen=True)
class Taken:
    """What tasks have reserved of a node. ``gpu_memory``: of a whole GPU all, by the mean of the node's GPUs."""

    tasks: int = 0
    cpus: float = 0.0
    memory: int = 0
    gpus: int = 0
    gpu_memory: int = 0


def has_of(capacity: Mapping[str, Any]) -> Has:
    """Anybody can write an announcement: what is no number counts for nothing."""
    found: dict[tuple[str, int], int] = {}
    gpus = capacity.get("gpus")
    for gpu in gpus if isinstance(gpus, list) else ():
        if isinstance(gpu, Mapping):
            kind = str(gpu.get("name") or "GPU"), int(_number(gpu.get("memory")))
            found[kind] = found.get(kind, 0) + 1
    limit = _number(capacity.get("limit"))
    return Has(
        _number(capacity.get("cpus")),
        int(_number(capacity.get("memory"))),
        int(limit) if limit else None,
        tuple(Gpus(name, memory, count) for (name, memory), count in found.items()),
    )


def taken_of(has: Has, needs: Iterable[Needs]) -> Taken:
    each_gpu = has.gpu_memory // has.gpu_count if has.gpu_count else 0
    tasks, cpus, memory, gpus, gpu_memory = 0, 0.0, 0, 0, 0
    for one in needs:
        tasks += 1
        cpus += one.cpus
        memory += one.memory
        gpus += one.gpus if takes_whole(one) else 0
        gpu_memory += one.gpus * (each_gpu if takes_whole(one) else one.gpu_memory)
    return Taken(tasks, round(cpus, 3), memory, gpus, gpu_memory)


def load_of(has: Has, taken: Taken) -> float:
    """0…1: how full it is of what it is fullest of."""
    shares = [
        part / whole
        for part, whole in (
            (taken.tasks, has.slots),
            (taken.cpus, has.cpus),
            (taken.memory, has.memory),
            (taken.gpu_memory, has.gpu_memory),
            (taken.gpus, has.gpu_count),
        )
        if whole
    ]
    return round(min(1.0, max(shares, default=0.0)), 3)


@dataclass(frozen=True)
class NodeFacts:
    """A node and the tasks that it has. ``load``: 0…1, how full it is of what it is fullest of."""

    node: Node
    holdings: tuple[Holding, ...]
    has: Has
    taken: Taken

    @classmethod
    def of(cls, node: Node, holdings: Iterable[Holding]) -> NodeFacts:
        tasks, has = tuple(holdings), has_of(node.capacity)
        return cls(node, tasks, has, taken_of(has, [holding.needs for holding in tasks]))

    @property
    def load(self) -> float:
        return load_of(self.has, self.taken)

    @property
    def health(self) -> str:
        """``ok``; ``silent``: nothing is heard of it, and it has not said that it goes; ``stopped``."""
        if self.node.online:
            return "ok"
        return "silent" if self.node.capacity else "stopped"

    @property
    def task_types(self) -> tuple[str, ...]:
        return tuple(str(name) for name in self.node.capacity.get("task_types") or ())


def facts_of(nodes: Iterable[Node], holdings: Iterable[Holding]) -> list[NodeFacts]:
    """Each node with what tasks hold of it."""
    held = by_node(holdings)
    return [NodeFacts.of(node, held.get((node.pool, node.id), ())) for node in nodes]


def by_node(holdings: Iterable[Holding]) -> dict[tuple[str, str], list[Holding]]:
    """Tasks that hold something of a node, by its pool and name."""
    found: dict[tuple[str, str], list[Holding]] = {}
    for holding in holdings:
        task = holding.task
        suspended = task.state is not None and task.state.name == _SUSPENDED
        if task.node is not None and task.pool is not None and not suspended:
            found.setdefault((task.pool, task.node), []).append(holding)
    return found


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return 0.0
    return max(0.0, float(value))
