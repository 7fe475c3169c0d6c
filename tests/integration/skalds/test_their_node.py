"""This product's bridge gives work to a real Skald node, and judges it by its heartbeats."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.services.consumed import consumed
from tests.services.poll import until
from tests.services.skalds_peer.house import House, HouseBridge, HouseNode
from tests.services.skalds_peer.processes import SkaldsNode
from tests.services.skalds_peer.world import World

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(300)]

PERIOD = 3.0
SLACK = 3.0
"""Seconds that a busy machine may take besides."""


@pytest.fixture(scope="module")
def peer(world: World, house: House) -> Iterator[SkaldsNode]:
    with (
        HouseNode(house, "house-1"),
        SkaldsNode(world, "peer-1", "PeerCamera") as node,
        HouseBridge(house, "ours", "house-1"),
    ):
        yield node


class Told:
    """When each status of a task was first read from MongoDB and each heartbeat from Redis; monotonic."""

    def __init__(self, world: World, task: str) -> None:
        self._world, self._task = world, task
        self.statuses: dict[str, float] = {}
        self.heartbeats: dict[int, float] = {}

    def look(self) -> None:
        if (heartbeat := self._world.heartbeat(self._task)) is not None:
            self.heartbeats.setdefault(heartbeat, time.monotonic())
        self.statuses.setdefault(self._world.status(self._task), time.monotonic())

    def has(self, status: str, seconds: float = 60) -> None:
        def there() -> bool:
            self.look()
            return status in self.statuses

        until(there, seconds, f"{status} of {self._task}: {self.statuses}, {self.heartbeats}")

    def is_in_time(self, status: str, heartbeat: int) -> None:
        """``status`` is written within a period of the heartbeat that says so."""
        assert self.statuses[status] - self.heartbeats[heartbeat] <= PERIOD + SLACK


def assignments(world: World, task: str) -> list[dict[str, Any]]:
    found = consumed(world.kafka.client(), "task.assign")
    return [event for key, event in found if key == task]


@pytest.mark.usefixtures("peer")
@pytest.mark.parametrize(
    ("breaks", "status", "heartbeat"), [("", "Finished", 200), ("lens cap on", "Failed", -1)]
)
def test_a_class_that_only_it_has_is_assigned_to_it(
    world: World, breaks: str, status: str, heartbeat: int
) -> None:
    (task,) = world.insert("PeerCamera", attachments={"seconds": 10, "breaks": breaks})
    told = Told(world, task)
    told.has("Assigning")
    assert world.read(task)["executor"] == "peer-1"
    told.has("Running")
    first = min(told.heartbeats.values())
    assert told.statuses["Running"] - first <= PERIOD + SLACK
    told.has(status)
    told.is_in_time(status, heartbeat)
    assert [event["taskIds"] for event in assignments(world, task)] == [[task]]
    assert world.stamps.starts([task]) == {task: 1}
    assert world.stamps.read("main", task)[0].node == "peer-1"
    if breaks:
        assert breaks in world.read(task)["exception"]


@pytest.mark.usefixtures("peer")
def test_its_task_is_updated_and_cancelled(world: World) -> None:
    (task,) = world.insert("PeerCamera", attachments={"seconds": 120})
    told = Told(world, task)
    told.has("Running")
    world.update(task, {"seconds": 120, "frameRate": 12})
    assert world.stamps.first("update", task, 15).detail == "12"
    world.cancel(task)
    assert world.stamps.first("release", task, 15).detail == "signal"
    told.has("Cancelled")
    until(lambda: world.heartbeat(task) == -2, 15, "the cancelled heartbeat")
    assert world.status(task) == "Cancelled"
    assert world.stamps.starts([task]) == {task: 1}


@pytest.mark.usefixtures("peer")
def test_its_cancelled_heartbeat_alone_ends_a_task(world: World) -> None:
    (task,) = world.insert("PeerCamera", attachments={"seconds": 120})
    told = Told(world, task)
    told.has("Running")
    # As a node does that is stopped: nobody has asked for the task's end.
    os.kill(world.stamps.first("main", task).pid, signal.SIGTERM)
    told.has("Cancelled")
    told.is_in_time("Cancelled", -2)
