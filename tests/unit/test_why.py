"""Why a task is where it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from skald_bridge.domain.facts import Node, State, Task
from skald_bridge.domain.ids import NodeId, StateId, TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.why import Pool, Waiting, reasons
from skald_work_pools.devices import Announcement
from skald_work_pools.needs import Needs

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CPU = Pool("cpu", "skald", False, None)
ONLINE = Node(NodeId("n1"), "cpu", True, NOW)


def task(kind: StateType, name: str = "X", message: str | None = None) -> Task:
    state = State(StateId("s"), kind, name, NOW, message)
    return Task(
        TaskId("12345678-0000-4000-8000-000000000000"),
        "fox",
        "Job",
        state,
        NOW,
        pool="cpu",
        queue="default",
        deployment="d",
        deployment_id="D",
    )


WAITING = task(StateType.SCHEDULED)
BUSY = replace(task(StateType.RUNNING), id=TaskId("other"))


@pytest.mark.parametrize(
    ("found", "waiting", "nodes", "live", "says"),
    [
        (
            WAITING,
            Waiting(CPU),
            [],
            [],
            "No node of the pool cpu is online. Start one: skald node --pool cpu",
        ),
        (WAITING, Waiting(CPU), [replace(ONLINE, online=False)], [], "No node of the pool cpu is online"),
        (WAITING, Waiting(CPU), [replace(ONLINE, pool="gpu")], [], "No node of the pool cpu is online"),
        (WAITING, Waiting(CPU), [ONLINE], [], "It waits for room on a node of the pool cpu; online: n1."),
        (WAITING, Waiting(replace(CPU, paused=True)), [ONLINE], [], "prefect work-pool resume cpu"),
        (WAITING, Waiting(CPU, queue_paused=True), [ONLINE], [], "resume default --pool cpu"),
        (
            WAITING,
            Waiting(replace(CPU, limit=1)),
            [ONLINE],
            [BUSY],
            "work pool cpu has a concurrency limit of 1",
        ),
        (
            WAITING,
            Waiting(CPU, queue_limit=1),
            [ONLINE],
            [BUSY],
            "work queue default has a concurrency limit",
        ),
        (WAITING, Waiting(CPU, deployment_limit=1), [ONLINE], [BUSY], "deployment d has a concurrency limit"),
        (WAITING, Waiting(None), [], [], "is gone. Create it: skald pool cpu"),
        (replace(WAITING, pool=None), Waiting(None), [], [], "It has no work pool"),
        (WAITING, Waiting(replace(CPU, type="process")), [], [], "of type process"),
        (WAITING, Waiting(CPU, NOW + timedelta(seconds=90)), [ONLINE], [], "in 90 s."),
    ],
)
def test_a_waiting_task(
    found: Task, waiting: Waiting, nodes: list[Node], live: list[Task], says: str
) -> None:
    assert any(says in reason for reason in reasons(found, waiting, nodes, live, NOW))


def test_what_no_node_could_ever_take_is_said_node_by_node() -> None:
    told = Announcement("n1", "cpu", "host", 1, 4, 2**33, NOW, "0").to_dict()
    nodes = [replace(ONLINE, id=NodeId(f"n{number}"), capacity=told) for number in range(1, 8)]
    (said,) = reasons(WAITING, Waiting(CPU, needs=Needs(gpus=9)), nodes, [], NOW)
    assert said.startswith(
        "No node of the pool cpu that is online could ever take it: node n1: needs 9 gpus, has none;"
    )
    assert "and 2 more nodes. Start a node that has it" in said
    (said,) = reasons(
        WAITING, Waiting(CPU, needs=Needs(gpus=9)), [*nodes, replace(ONLINE, capacity={})], [], NOW
    )
    assert said.startswith("It waits for room"), "of one node nothing is known"
    (said,) = reasons(WAITING, Waiting(CPU, needs=Needs(cpus=4)), nodes, [], NOW)
    assert said.startswith("It waits for room")
    paused = Waiting(replace(CPU, paused=True), needs=Needs(gpus=9))
    assert len(reasons(WAITING, paused, nodes, [], NOW)) == 2


def test_a_limit_that_is_not_reached_is_not_named() -> None:
    assert len(reasons(WAITING, Waiting(replace(CPU, limit=2)), [ONLINE], [BUSY, WAITING], NOW)) == 1


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        (StateType.PENDING, "Pending", "is starting it on node n1: the message"),
        (StateType.RUNNING, "Running", "It runs on node n1."),
        (StateType.PAUSED, "Suspended", "It is suspended on node n1; `skald resume 00000000`"),
        (StateType.CANCELLING, "Cancelling", "being cancelled on node n1"),
        (StateType.CRASHED, "Crashed", "It has ended as Crashed on node n1: the message"),
    ],
)
def test_a_task_that_has_started(kind: StateType, name: str, says: str) -> None:
    found = replace(task(kind, name, "the message"), node=NodeId("n1"))
    assert says in reasons(found, Waiting(CPU), [ONLINE], [], NOW)[0]


def test_a_silent_node_is_named_first() -> None:
    found = replace(task(StateType.RUNNING), node=NodeId("n2"))
    assert (
        reasons(found, Waiting(CPU), [ONLINE], [], NOW)[0] == "Its node n2 is silent; the task may be lost."
    )


def test_a_task_in_a_pod_is_where_its_pod_is() -> None:
    pods = Waiting(replace(CPU, name="pods", type="kubernetes"))
    found = replace(task(StateType.RUNNING), node=NodeId("k8s/media/p"))
    assert reasons(found, pods, [ONLINE], [], NOW) == ["It runs in pod k8s/media/p."]
    stuck = task(StateType.PENDING, message="Pod p: it cannot be scheduled")
    said = "A worker of type kubernetes has taken it and is starting it: Pod p: it cannot be scheduled"
    assert reasons(stuck, pods, [ONLINE], [], NOW) == [said]
