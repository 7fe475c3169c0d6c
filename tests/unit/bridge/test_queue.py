"""Who waits: the order of the whole line, its pages, and what is said of each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_bridge.domain.dependencies import DEPENDENCIES_LABEL, HELD, written
from skald_bridge.domain.documents import PRIORITY_LABEL
from skald_bridge.domain.facts import Node, State, Task
from skald_bridge.domain.ids import NodeId, StateId, TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.queue import (
    Lane,
    Queued,
    QueuePage,
    awaited,
    is_limited,
    needs_of,
    parts,
    rows,
)
from skald_bridge.domain.why import Pool, Waiting

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CPU, GPU = Pool("cpu", "skald", False, None), Pool("gpu", "skald", False, None)
NODE = Node(NodeId("n1"), "cpu", True, NOW)


def task(name: str = "Scheduled", **more: object) -> Task:
    state = State(StateId("s"), StateType.SCHEDULED, name, NOW)
    made = Task(TaskId("t1"), "fox", "Job", state, NOW, pool="cpu", queue="default")
    return replace(made, **more)  # type: ignore[arg-type]


def listed(lanes: list[Lane], offset: int = 0, limit: int = 1000) -> list[tuple[str, int]]:
    """Queue and number within it, as a page has them."""
    found = [
        (part.place + number, part.lane.pool.name, part.lane.queue, part.offset + number)
        for part in parts(lanes, offset, limit)
        for number in range(part.limit)
    ]
    return [(queue, number) for _, _, queue, number in sorted(found)]


def test_higher_queues_come_first_and_paused_ones_last() -> None:
    lanes = [
        Lane(2, CPU, "default", 3),
        Lane(1, CPU, "urgent", 1),
        Lane(1, CPU, "asleep", 2, paused=True),
    ]
    assert listed(lanes) == [("urgent", 0), ("default", 0), ("default", 1), ("asleep", 0)]


def test_the_first_of_every_pool_come_before_the_second_of_any() -> None:
    lanes = [Lane(3, CPU, "c"), Lane(1, GPU, "g"), Lane(2, replace(GPU, name="tpu"), "t")]
    assert listed(lanes) == [("c", 0), ("g", 0), ("t", 0), ("c", 1), ("t", 1), ("c", 2)]
    assert [part.place for part in parts(lanes, 3, 2)] == [2, 2]


LANES = st.lists(
    st.builds(
        Lane,
        st.integers(0, 7),
        st.sampled_from([CPU, GPU, replace(CPU, name="off", paused=True)]),
        st.text("abc", min_size=1, max_size=3),
        st.integers(1, 3),
        st.booleans(),
    ),
    max_size=8,
    unique_by=lambda lane: (lane.pool.name, lane.queue),
)


@given(LANES, st.integers(1, 6))
def test_pages_put_together_are_the_whole_line(lanes: list[Lane], size: int) -> None:
    whole = listed(lanes)
    total = sum(lane.waiting for lane in lanes)
    assert len(whole) == total
    paged = [each for offset in range(0, total, size) for each in listed(lanes, offset, size)]
    assert paged == whole


@given(LANES, st.integers(0, 60), st.integers(1, 60))
def test_a_page_reads_no_more_than_it_shows(lanes: list[Lane], offset: int, limit: int) -> None:
    total = sum(lane.waiting for lane in lanes)
    found = parts(lanes, offset, limit)
    assert sum(part.limit for part in found) == max(0, min(limit, total - offset))
    assert all(part.limit and part.offset + part.limit <= part.lane.waiting for part in found)


def explained(queued: Queued, *live: Task) -> tuple[object, object, tuple[str, ...]]:
    (row,) = rows(QueuePage((queued,), 1, 0), [NODE], live, NOW)
    return row.since, row.expected, row.reasons


def test_one_that_is_due_waits_since_then_and_nobody_knows_its_start() -> None:
    due = NOW - timedelta(minutes=3)
    said = ("node n1: needs 4 cpus, 1 free",)
    since, expected, why = explained(Queued(task(), Waiting(CPU, due), 1, said))
    assert (since, expected) == (due, None)
    assert why == ("It waits for room on a node of the pool cpu; online: n1.", *said)


def test_one_whose_time_is_all_that_it_waits_for_starts_then() -> None:
    due = NOW + timedelta(minutes=3)
    assert explained(Queued(task(), Waiting(CPU, due)))[:2] == (None, due)
    nobody = Waiting(replace(CPU, name="other"), due)
    assert explained(Queued(task(pool="other"), nobody))[:2] == (None, None)
    assert explained(Queued(task(), Waiting(CPU, due, queue_paused=True)))[:2] == (None, None)


def test_one_that_waits_for_others_has_no_start_that_is_known() -> None:
    held = task(HELD, labels={DEPENDENCIES_LABEL: written(["t2", "t3"])})
    queued = Queued(held, Waiting(CPU, NOW + timedelta(days=900)))
    assert awaited(QueuePage((queued, queued), 0, 2)) == ["t2", "t3"]
    running = replace(task(), id=TaskId("t2"), state=State(StateId("r"), StateType.RUNNING, "Running", NOW))
    assert explained(queued, running)[1:] == (
        None,
        (
            "It waits for task t2, which is Running.",
            "It waits for task t3, which has ended, or is not there yet.",
        ),
    )


@pytest.mark.parametrize(("limit", "limited"), [(None, False), (1, True)])
def test_what_nodes_have_is_asked_for_where_a_limit_counts_it(limit: int | None, limited: bool) -> None:
    assert is_limited(QueuePage((Queued(task(), Waiting(replace(CPU, limit=limit))),), 1, 0)) is limited


def test_priority_is_the_tasks_own() -> None:
    queued = Queued(task(labels={PRIORITY_LABEL: 7}), Waiting(CPU, NOW), 1)
    assert rows(QueuePage((queued,), 1, 0), [NODE], [], NOW)[0].priority == 7


def test_needs_are_the_codes_with_job_variables_over_them() -> None:
    declared, deployment, run = {"cpus": 2, "memory": "1GiB"}, {"env": {"A": "b"}, "cpus": 4}, {"gpus": 1}
    assert needs_of(declared, deployment, run).not_zero() == {"cpus": 4.0, "memory": 2**30, "gpus": 1}
    assert needs_of(declared, {"cpus": "many"}, run).not_zero() == {"cpus": 2.0, "memory": 2**30, "gpus": 1}
