"""What tasks take of a node, whatever it announced."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from skald_bridge.domain.facts import Node, State, Task
from skald_bridge.domain.ids import NodeId, StateId, TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.queue import Holding
from skald_bridge.domain.usage import Gpus, Has, NodeFacts, by_node, has_of, load_of, taken_of
from skald_work_pools.needs import Needs

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GIB = 2**30
H200 = {"uuid": "u", "name": "H200", "memory": 141 * GIB}


def test_what_a_node_has() -> None:
    told = {"cpus": 8, "memory": GIB, "limit": 4, "gpus": [H200, {**H200, "uuid": "v"}, {"memory": 2}]}
    has = has_of(told)
    assert has == Has(8.0, GIB, 4, (Gpus("H200", 141 * GIB, 2), Gpus("GPU", 2, 1)))
    assert (has.gpu_count, has.gpu_memory) == (3, 282 * GIB + 2)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"cpus": "many", "memory": None, "limit": True, "gpus": "all"},
        {"cpus": float("nan"), "memory": -5, "limit": float("inf"), "gpus": [7, "x"]},
    ],
)
def test_an_announcement_that_is_none_counts_for_nothing(told: dict[str, Any]) -> None:
    assert has_of(told) == Has()


def test_what_tasks_take_and_how_full_that_makes_it() -> None:
    has = Has(8.0, 16 * GIB, 4, (Gpus("H200", 100 * GIB, 2),))
    needs = [Needs(cpus=2, memory=4 * GIB), Needs(gpus=1), Needs(gpu_memory=50 * GIB)]
    taken = taken_of(has, needs)
    assert (taken.tasks, taken.cpus, taken.memory) == (3, 2.0, 4 * GIB)
    assert (taken.gpus, taken.gpu_memory) == (1, 150 * GIB)
    assert load_of(has, taken) == 0.75
    assert load_of(Has(), taken) == 0.0
    assert load_of(replace(has, slots=2), taken) == 1.0


def held(kind: StateType, name: str, node: str | None = "n1", pool: str | None = "cpu") -> Holding:
    state = State(StateId("s"), kind, name, NOW)
    made = Task(TaskId(name), "fox", "Job", state, NOW, pool=pool, node=NodeId(node) if node else None)
    return Holding(made, Needs(cpus=1))


def test_who_has_which_task() -> None:
    running, paused = held(StateType.RUNNING, "Running"), held(StateType.PAUSED, "Paused")
    elsewhere = held(StateType.RUNNING, "Elsewhere", pool="gpu")
    nobody = [held(StateType.PAUSED, "Suspended"), held(StateType.RUNNING, "Local", node=None, pool=None)]
    found = by_node([running, elsewhere, paused, *nobody])
    assert found == {("cpu", "n1"): [running, paused], ("gpu", "n1"): [elsewhere]}


@pytest.mark.parametrize(
    ("online", "capacity", "health"),
    [(True, {"cpus": 1}, "ok"), (False, {"cpus": 1}, "silent"), (False, {}, "stopped")],
)
def test_health(online: bool, capacity: dict[str, Any], health: str) -> None:
    assert NodeFacts.of(Node(NodeId("n"), "cpu", online, NOW, capacity), ()).health == health
