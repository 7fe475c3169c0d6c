"""What the fleet's page is told, and which frames come when something changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from skald_bridge.api.fleet_view import (
    LONGEST_TEXT,
    MOST_NODES,
    MOST_PLACEMENTS,
    MOST_TASKS,
    Facts,
    View,
    changes,
    fleet_view,
    whole,
)
from skald_bridge.domain.facts import Node, State, Task
from skald_bridge.domain.ids import NodeId, StateId, TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.queue import Holding, Queued, Row
from skald_bridge.domain.usage import NodeFacts
from skald_bridge.domain.why import Pool, Waiting
from skald_bridge.services.queue import ExplainedPage
from skald_work_pools.devices import Capacity, Gpu
from skald_work_pools.needs import Needs
from skald_work_pools.placement import model
from tests.contract.records import AT, document, task_id

GIB = 2**30
CAPACITY = {
    "cpus": 8,
    "memory": 16 * GIB,
    "limit": 4,
    "gpus": [{"uuid": "u", "name": "H200", "memory": 140 * GIB}],
    "task_types": ["transcode", "analyze"],
    "host": "rack-1",
}


def held(name: str, needs: Needs | None = None, node: str = "n1") -> Holding:
    state = State(StateId("s"), StateType.RUNNING, "Running", AT)
    task = Task(TaskId(name), f"name of {name}", "transcode", state, AT, pool="gpu", node=NodeId(node))
    return Holding(task, needs or Needs())


def node(*holdings: Holding, name: str = "n1", online: bool = True, **capacity: Any) -> NodeFacts:
    return NodeFacts.of(Node(NodeId(name), "gpu", online, AT, {**CAPACITY, **capacity}), holdings)


def view(*nodes: NodeFacts, **facts: Any) -> View:
    return fleet_view(Facts(nodes, **facts), AT)


def test_a_node_with_what_is_reserved_of_it() -> None:
    task = held("t1", Needs(cpus=2, memory=4 * GIB, gpu_memory=70 * GIB))
    tile = view(node(task)).nodes["node/gpu/n1"]
    assert (tile["name"], tile["pool"], tile["status"], tile["seen"]) == ("n1", "gpu", "online", None)
    assert tile["slots"] == {"taken": 1, "total": 4}
    assert tile["cpus"] == {"taken": 2.0, "total": 8.0}
    assert tile["gpuMemory"] == {"taken": 70 * GIB, "total": 140 * GIB}
    assert (tile["load"], tile["types"]) == (0.5, ["analyze", "transcode"])
    assert [(each["type"], each["name"], each["state"]) for each in tile["tasks"]] == [
        ("transcode", "name of t1", "Running")
    ]


def test_a_worker_of_dtasks_with_its_grants() -> None:
    gpus = (Gpu("0", "", 24 * GIB),)
    member = model.Member("w1", Capacity(4.0, 8 * GIB, gpus, frozenset({"lan"}), 3), "10.0.0.7:9000")
    request = model.Request("film", (Needs(cpus=1, gpu_memory=6 * GIB),))
    grant = model.Grant(request, "w1", "", 0, ("0",), AT, AT + timedelta(minutes=1))
    standing = model.Standing(member, model.State.SUSPICIOUS, AT, 2, 0.5, (grant,))
    tile = view(workers=[standing]).nodes["worker/w1"]
    assert (tile["kind"], tile["status"], tile["host"], tile["tags"]) == (
        "worker",
        "suspicious",
        "10.0.0.7:9000",
        ["lan"],
    )
    assert tile["seen"] is not None
    assert (tile["slots"], tile["taskCount"]) == ({"taken": 2, "total": 3}, 2)
    assert (tile["cpus"]["taken"], tile["gpuMemory"]["taken"]) == (1.0, 6 * GIB)
    assert [each["id"] for each in tile["tasks"]] == ["film"]


def test_who_waits_for_what_and_why() -> None:
    state = State(StateId("s"), StateType.SCHEDULED, "Scheduled", AT)
    task = Task(TaskId("t1"), "fox", "transcode", state, AT, pool="gpu", queue="default")
    queued = Queued(task, Waiting(Pool("gpu", "skald", False, None), AT, needs=Needs(gpus=1)), 1)
    page = ExplainedPage([Row(queued, AT, None, ("It waits for room.",))], 5, 2)
    request = model.Waiting(model.Request("film", priority=3), AT, "no worker has room")
    queue = view(queue=page, requests=[request], total_requests=7).parts["queue"]
    assert (queue["total"], queue["later"], queue["totalRequests"]) == (5, 2, 7)
    assert queue["tasks"][0]["needs"] == "1 gpu" and queue["tasks"][0]["why"] == ["It waits for room."]
    assert (queue["requests"][0]["id"], queue["requests"][0]["priority"]) == ("film", 3)


def test_what_started_last_comes_first_and_what_never_started_not_at_all() -> None:
    started = [
        document(task_id(), 3, StateType.COMPLETED, started=AT + timedelta(seconds=number), name=str(number))
        for number in range(MOST_PLACEMENTS + 5)
    ]
    again = document(
        task_id(), 9, StateType.RUNNING, started=AT, updated=AT + timedelta(hours=1), name="second attempt"
    )
    never = document(task_id(), 1, StateType.SCHEDULED, started=None, executor=None)
    shown = view(recent=[*started, again, never]).parts["placements"]
    assert [each["name"] for each in shown[:3]] == ["second attempt", "24", "23"]
    assert len(shown) == MOST_PLACEMENTS


def test_however_many_there_are_the_page_stays_small() -> None:
    many = [node(name=f"n{number}", online=number >= 10) for number in range(MOST_NODES + 10)]
    found = view(*many)
    assert len(found.nodes) == MOST_NODES
    assert all(tile["status"] == "online" for tile in found.nodes.values()), "offline ones are left out first"
    assert found.parts["totals"] == {
        "nodes": MOST_NODES + 10,
        "online": MOST_NODES,
        "hidden": 10,
        "atWork": 0,
        "elsewhere": 0,
    }
    assert view(more_workers=3).parts["totals"]["hidden"] == 3
    busy = view(node(*(held(str(number)) for number in range(30)))).nodes["node/gpu/n1"]
    assert (len(busy["tasks"]), busy["taskCount"]) == (MOST_TASKS, 30)
    (named,) = view(node(name="n" * 5000, host="a\u202eb\nc")).nodes.values()
    assert len(named["name"]) == LONGEST_TEXT and named["host"] == "a\\u202eb\\nc"


def test_nodes_that_are_long_gone_are_forgotten_unless_they_have_a_task() -> None:
    gone = replace(node(online=False).node, last_seen=AT - timedelta(hours=2))
    assert view(NodeFacts.of(gone, ())).nodes == {}
    assert view(NodeFacts.of(gone, (held("t1"),))).nodes["node/gpu/n1"]["status"] == "silent"


def test_tasks_that_no_node_of_ours_has_are_counted() -> None:
    here, pod = held("t1"), held("t2", node="k8s/media/p")
    assert view(node(here), held=[here, pod]).parts["totals"]["elsewhere"] == 1


def test_frames_have_only_what_changed() -> None:
    idle, other = node(), node(name="n2")
    before = view(idle, other)
    assert changes(before, view(idle, other), AT) is None
    later = fleet_view(Facts([idle, other]), AT + timedelta(minutes=5))
    assert changes(before, later, AT) is None, "nothing changes by getting older"

    busy = changes(before, view(node(held("t1")), other), AT)
    assert busy is not None
    assert set(busy) == {"at", "nodes", "totals"} and set(busy["nodes"]) == {"node/gpu/n1"}

    gone = changes(before, view(idle), AT)
    assert gone is not None and gone["nodes"] == {"node/gpu/n2": None}

    old = changes(before, view(idle, other, problem="Prefect does not answer"), AT)
    assert old is not None and set(old) == {"at", "problem"}

    first = whole(before, AT)
    assert first["whole"] is True
    assert set(first) == {"at", "whole", "nodes", "totals", "queue", "placements", "problem"}
