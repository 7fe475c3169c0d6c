"""What the skalds bench times on a side that is up. All seconds; clocks start just before the client's call."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from tests.services.poll import until
from tests.services.service import alive
from tests.services.skalds_peer.world import World

_GAP = 5.0
_LONG = 300.0


def latency(world: World, count: int, seed: int) -> list[float]:
    """Document inserted → first line of user code, one task at a time, 0…5 s between them."""
    gaps, taken = random.Random(seed), []
    for _ in range(count):
        time.sleep(gaps.uniform(0, _GAP))
        began = time.time()
        (task,) = world.insert("Camera", attachments={"seconds": 0.2})
        taken.append(world.stamps.first("main", task).at - began)
        world.stamps.first("release", task)
    return taken


def burst(world: World, count: int) -> float:
    """Documents inserted at once → the last of them has begun."""
    began = time.time()
    tasks = world.insert("Camera", count, attachments={"seconds": 0.2})
    until(lambda: len(world.stamps.starts(tasks)) == count, 120, f"all of {count} tasks started")
    begun: dict[str, float] = {}
    for stamp in world.stamps.read("main"):
        begun.setdefault(stamp.task, stamp.at)
    until(lambda: len(_ended(world, tasks)) == count, 60, f"all of {count} tasks ended")
    return max(begun[task] for task in tasks) - began


def finish(world: World, count: int, seconds: float) -> list[float]:
    """User code's last line → Finished in MongoDB, of tasks of ``seconds``."""
    tasks = world.insert("Camera", count, attachments={"seconds": seconds})
    seen: dict[str, float] = {}

    def finished() -> bool:
        for task, status in world.statuses(tasks).items():
            if status == "Finished":
                seen.setdefault(task, time.time())
        return len(seen) == count

    until(finished, seconds + 90, f"{count} tasks finished in MongoDB: {world.statuses(tasks)}")
    return [max(0.0, seen[task] - world.stamps.first("done", task).at) for task in tasks]


def cancel(world: World, count: int) -> list[float]:
    """Cancel event sent → the task's process is gone."""
    taken = []
    for _ in range(count):
        pid, task = _begun(world)
        time.sleep(random.uniform(1, 3))
        began = time.monotonic()
        world.cancel(task)
        until(lambda pid=pid: not alive(pid), 60, f"process {pid} has ended")
        taken.append(time.monotonic() - began)
    return taken


def update(world: World, count: int) -> list[float]:
    """New attachments sent → the update handler is called."""
    _, task = _begun(world)
    time.sleep(3)  # their worker's own consumer joins a little after its main began
    taken = []
    for number in range(1, count + 1):
        began = time.time()
        world.update(task, {"seconds": _LONG, "frameRate": number})
        heard = until(
            lambda number=number: [
                stamp for stamp in world.stamps.read("update", task) if stamp.detail == str(number)
            ],
            30,
            f"update {number} heard",
        )
        taken.append(heard[0].at - began)
        time.sleep(random.uniform(0.2, 1))
    world.cancel(task)
    world.stamps.first("release", task)
    return taken


def _begun(world: World) -> tuple[int, str]:
    (task,) = world.insert("Camera", attachments={"seconds": _LONG})
    return world.stamps.first("main", task).pid, task


def _ended(world: World, tasks: Sequence[str]) -> set[str]:
    return {stamp.task for stamp in world.stamps.read("release")} & set(tasks)
