"""An unmodified System Controller (but for its two repairs) commands this product's node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.poll import until
from tests.services.skalds_peer.house import House, HouseBridge, HouseNode
from tests.services.skalds_peer.processes import SkaldsController
from tests.services.skalds_peer.world import World

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def controller(world: World, house: House) -> Iterator[SkaldsController]:
    with (
        HouseNode(house, "house-1"),
        HouseBridge(house, "upstream", "house-1"),
        SkaldsController(world) as controller,
    ):
        until(lambda: controller.sees("house-1"), 30, "the controller sees the node")
        yield controller


def test_50_tasks_are_judged_as_what_they_are(world: World, controller: SkaldsController) -> None:
    short = world.insert("Camera", 38, attachments={"seconds": 0.3})
    broken = world.insert("HouseCamera", 6, attachments={"seconds": 0.3, "breaks": "lens cap on"})
    patient = world.insert("Camera", 6, attachments={"seconds": 50})
    failed: set[str] = set()
    running: set[str] = set()

    def ended() -> bool:
        found = world.statuses([*short, *broken, *patient])
        # It gives a failed task to a node again and again: its own next word is not the task's end.
        failed.update(task for task in broken if found[task] == "Failed")
        running.update(
            task
            for task in patient
            if task not in running and found[task] == "Running" and judged_alive(controller, task)
        )
        finished = all(found[task] == "Finished" for task in (*short, *patient))
        return finished and failed == set(broken)

    try:
        until(ended, 200, "50 tasks ended")
    except AssertionError as error:
        error.add_note(f"{world.statuses([*short, *broken, *patient])}; seen failed: {failed}")
        raise
    assert running == set(patient)
    assert world.stamps.starts([*short, *patient]) == dict.fromkeys([*short, *patient], 1)
    assert all("lens cap on" in str(world.cache.get(f"task:{task}:exception")) for task in broken)
    assert all(world.read(task)["executor"] == "house-1" for task in (*short, *broken, *patient))


def judged_alive(controller: SkaldsController, task: str) -> bool:
    answer = controller.api("GET", f"/api/tasks/{task}/heartbeat")
    return bool(answer.is_success and answer.json()["isAlive"] and not answer.json()["isAssigning"])


def test_attachments_changed_by_its_rest_reach_the_running_flow(
    world: World, house: House, controller: SkaldsController
) -> None:
    (task,) = world.insert("Camera", attachments={"seconds": 120})
    world.stamps.first("main", task)
    changed = {"seconds": 120, "frameRate": 12}
    controller.asked("PUT", f"/api/tasks/{task}/attachments", {"attachments": changed})
    assert world.stamps.first("update", task, 15).detail == "12"
    assert world.read(task)["attachments"] == changed
    controller.asked("DELETE", f"/api/tasks/{task}")


def test_a_cancel_by_its_rest_ends_the_running_flow(
    world: World, house: House, controller: SkaldsController
) -> None:
    (task,) = world.insert("Camera", attachments={"seconds": 120})
    world.stamps.first("main", task)
    controller.asked("PUT", f"/api/tasks/{task}/status", {"lifecycleStatus": "Cancelled"})
    assert world.stamps.first("release", task, 15).detail == "signal"
    until(lambda: house.run_of(task)["state_name"] == "Cancelled", 30, "Cancelled in Prefect")
    until(lambda: world.heartbeat(task) == -2, 15, "the cancelled heartbeat")
    # It is written a moment after the heartbeat; until then the task is what it was, at work.
    until(lambda: world.status(task) == "Cancelled", 15, "the document says so")
