"""What is lost and what runs twice when parts of either system are killed; skalds bench.

A task is lost when no life of it reached the end of its work. It is doubled when its work was done twice, or
when a second life began while the first still lived; a life that a kill cut short, followed by another, is not.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.benchmarks.skalds_sides import Side
from tests.services.poll import until
from tests.services.skalds_peer.stamps import Stamp
from tests.services.skalds_peer.world import World

_DOWN = 3.0
_KAFKA_DOWN = 10.0
_NODE_DOWN = 5.0
_WORK = 15.0


@dataclass(frozen=True)
class Losses:
    """``statuses``: what MongoDB says of the tasks in the end, with how many of each."""

    tasks: int
    lost: int
    doubled: int
    statuses: dict[str, int]

    def __str__(self) -> str:
        said = ", ".join(f"{name} {count}" for name, count in sorted(self.statuses.items()))
        return f"{self.lost} lost, {self.doubled} doubled of {self.tasks} ({said})"


def node_killed(side: Side, count: int, watch: float) -> Losses:
    """SIGKILL for the node with long tasks at work; it is back after 5 s."""
    tasks = side.world.insert("Recorder", count, attachments={"seconds": _WORK})
    until(lambda: len(side.world.stamps.starts(tasks)) == count, 90, f"{count} tasks at work")
    side.kill_node()
    time.sleep(_NODE_DOWN)
    side.start_node()
    return _watched(side.world, tasks, watch)


def controller_killed(side: Side, count: int, watch: float) -> Losses:
    """SIGKILL for controller or bridge when it has taken a fifth of a burst; it is back after 3 s."""
    tasks = side.world.insert("Recorder", count, attachments={"seconds": 0.5})
    until(lambda: _taken(side.world, tasks) >= count // 5, 90, f"a fifth of {count} taken")
    side.kill_controller()
    time.sleep(_DOWN)
    side.start_controller()
    return _watched(side.world, tasks, watch)


def kafka_killed(side: Side, count: int, watch: float) -> Losses:
    """SIGKILL for the broker in the middle of a burst; it is back after 10 s."""
    tasks = _burst(side, count)
    side.world.kafka.kill()
    time.sleep(_KAFKA_DOWN)
    side.world.kafka.start()
    return _watched(side.world, tasks, watch)


def node_restarted(side: Side, count: int, watch: float) -> Losses:
    """SIGTERM for the node in the middle of a burst; it is back, under its name, 3 s after its end."""
    tasks = _burst(side, count)
    side.stop_node()
    time.sleep(_DOWN)
    side.start_node()
    return _watched(side.world, tasks, watch)


KILLS: dict[str, Callable[[Side, int, float], Losses]] = {
    "node": node_killed,
    "controller": controller_killed,
    "kafka": kafka_killed,
    "restart": node_restarted,
}


def _burst(side: Side, count: int) -> list[str]:
    """Tasks of which the first fifth has begun."""
    tasks = side.world.insert("Recorder", count, attachments={"seconds": 0.5})
    until(lambda: len(side.world.stamps.starts(tasks)) >= count // 5, 90, f"a fifth of {count} started")
    return tasks


def _taken(world: World, tasks: Sequence[str]) -> int:
    return sum(status != "Created" for status in world.statuses(tasks).values())


def _watched(world: World, tasks: Sequence[str], watch: float) -> Losses:
    """After ``watch`` seconds whatever was done: what comes twice comes late."""
    time.sleep(watch)
    lives: dict[str, list[Stamp]] = defaultdict(list)
    for stamp in world.stamps.read():
        lives[stamp.task].append(stamp)
    statuses: dict[str, int] = defaultdict(int)
    for status in world.statuses(tasks).values():
        statuses[status] += 1
    lost = sum(not any(stamp.step == "done" for stamp in lives[task]) for task in tasks)
    return Losses(len(tasks), lost, sum(doubled(lives[task]) for task in tasks), dict(statuses))


def doubled(stamps: Sequence[Stamp]) -> bool:
    """Whether these stamps of one task, oldest first, are of two lives that both counted."""
    if sum(stamp.step == "done" for stamp in stamps) > 1:
        return True
    begun: list[int] = []
    for stamp in stamps:
        if stamp.step == "main":
            begun.append(stamp.pid)
        elif stamp.pid in begun[:-1]:
            return True  # an earlier life says something after a later one began
    return False
