"""Both kinds of nodes under one bridge: every task runs once, where its class is."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.services.poll import until
from tests.services.skalds_peer.house import House, HouseBridge, HouseNode
from tests.services.skalds_peer.processes import SkaldsNode
from tests.services.skalds_peer.world import World

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(300)]

HAS = {
    "Camera": {"house-1", "peer-1"},
    "PeerCamera": {"peer-1"},
    "HouseCamera": {"house-1"},
}


def test_100_mixed_tasks_run_once_each(world: World, house: House) -> None:
    with (
        HouseNode(house, "house-1"),
        SkaldsNode(world, "peer-1", "Camera", "PeerCamera"),
        HouseBridge(house, "ours", "house-1"),
    ):
        counts = {"Camera": 34, "PeerCamera": 33, "HouseCamera": 33}
        tasks = {
            task: name
            for name, count in counts.items()
            for task in world.insert(name, count, attachments={"seconds": 1})
        }
        try:
            until(lambda: set(world.statuses([*tasks]).values()) == {"Finished"}, 180, "100 tasks finished")
        except AssertionError as error:
            error.add_note(
                str(Counter((tasks[task], status) for task, status in world.statuses([*tasks]).items()))
            )
            for document in world.tasks.find(
                {"id": {"$in": [*tasks]}, "lifecycleStatus": {"$ne": "Finished"}}
            ):
                error.add_note(str(document))
            raise
        assert world.stamps.starts(tasks) == dict.fromkeys(tasks, 1)
        ran = {stamp.task: stamp.node for stamp in world.stamps.read("main")}
        assert all(ran[task] in HAS[name] for task, name in tasks.items())
        assert all(world.read(task)["executor"] == ran[task] for task in tasks)
