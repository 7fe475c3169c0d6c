"""What is to be done about Jobs and pods of runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import NodeId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.pods import (
    UNSCHEDULABLE,
    Cancelled,
    Delete,
    Job,
    Patience,
    Place,
    Pod,
    Reschedule,
    Say,
    Trouble,
    decide,
    in_pod,
)
from tests.unit.bridge.facts import state, task

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PATIENCE = Patience()
HERE = NodeId("k8s/media/p")
WAITS, RUNS, DONE = Pod("p"), Pod("p", started=True), Pod("p", started=True)
STUCK = Pod("p", trouble=Trouble(UNSCHEDULABLE, "it cannot be scheduled: 0/2 nodes are available"))


def job(*pods: Pod, ended: bool = False, leaving: bool = False, name: str = "j") -> Job:
    return Job(name, "r", NOW - timedelta(minutes=1), ended, leaving, pods)


def run(kind: StateType, seconds: float = 0, node: str | None = HERE) -> Task:
    """A run that has been in this state for so long, known to be in the pod where it has one."""
    known = replace(state(1, kind), at=NOW - timedelta(seconds=seconds))
    return replace(task(known), node=NodeId(node) if node else None)


def done(kind: StateType, *jobs: Job, after: float = 0) -> list[type]:
    return [type(action) for action in decide(run(kind, after), jobs, "media", NOW)]


CANCEL, REPORT = PATIENCE.cancel.total_seconds(), PATIENCE.report.total_seconds()


@pytest.mark.parametrize(
    ("jobs", "after", "expected"),
    [
        ([], 0, [Cancelled]),
        ([job(WAITS)], 0, [Cancelled, Delete]),
        ([job()], 0, [Cancelled, Delete]),
        ([job(STUCK)], 0, [Cancelled, Delete]),
        ([job(RUNS)], CANCEL - 1, []),
        ([job(RUNS)], CANCEL, [Cancelled, Delete]),
        ([job(RUNS, WAITS)], CANCEL - 1, []),
        ([job(DONE, ended=True)], REPORT - 1, []),
        ([job(DONE, ended=True)], REPORT, [Cancelled]),
        ([job(WAITS, leaving=True)], CANCEL, []),
        ([job(DONE, ended=True, leaving=True)], CANCEL, []),
        ([job(DONE, ended=True), job(WAITS, name="k")], 0, [Cancelled, Delete]),
        ([job(RUNS), job(WAITS, name="k")], 0, []),
    ],
)
def test_a_run_that_is_being_cancelled(jobs: list[Job], after: float, expected: list[type]) -> None:
    assert done(StateType.CANCELLING, *jobs, after=after) == expected


def test_the_run_is_cancelled_before_its_pod_is_told_to_end() -> None:
    """Prefect's runner reschedules a run on SIGTERM unless that has ended."""
    first, second = decide(run(StateType.CANCELLING, CANCEL), [job(RUNS)], "media", NOW)
    assert first == Cancelled("Cancelled: its pod did not end by itself in 45 s, and is deleted.")
    assert second == Delete("j", "its run is cancelled, and its pod has not ended by itself in 45 s")


@pytest.mark.parametrize(
    ("jobs", "after", "expected"),
    [
        ([], 0, []),
        ([job(DONE, ended=True)], 0, [Delete]),
        ([job(WAITS)], 0, [Delete]),
        ([job(RUNS)], CANCEL - 1, []),
        ([job(RUNS)], CANCEL, [Delete]),
        ([job(RUNS, leaving=True)], CANCEL, []),
    ],
)
def test_a_cancelled_run_keeps_no_job(jobs: list[Job], after: float, expected: list[type]) -> None:
    assert done(StateType.CANCELLED, *jobs, after=after) == expected


@pytest.mark.parametrize("kind", [StateType.COMPLETED, StateType.FAILED])
def test_the_pod_of_a_run_that_has_ended_has_time_for_its_hooks(kind: StateType) -> None:
    hooks = PATIENCE.hooks.total_seconds()
    assert done(kind, job(RUNS), after=hooks - 1) == []
    assert done(kind, job(RUNS), after=hooks) == [Delete]
    assert done(kind, job(DONE, ended=True), after=hooks) == []
    assert done(kind, job(RUNS, leaving=True), after=hooks) == []


def test_the_pod_of_a_crashed_run_is_left_to_prefect_which_would_bring_the_run_back() -> None:
    assert done(StateType.CRASHED, job(RUNS), after=3600) == []


def test_a_claim_without_a_job_is_taken_back() -> None:
    claim = PATIENCE.claim.total_seconds()
    assert done(StateType.PENDING, after=claim - 1) == []
    assert decide(run(StateType.PENDING, claim), [], "media", NOW) == [
        Reschedule("A worker took it, and made no Job in 60 s.")
    ]
    assert done(StateType.PENDING, job(), after=claim) == []
    assert done(StateType.PENDING, job(ended=True), after=claim) == []


def test_what_keeps_a_pod_from_starting_is_said_as_the_runs_state() -> None:
    (said,) = decide(run(StateType.PENDING), [job(STUCK)], "media", NOW)
    assert said == Say("Pod p: it cannot be scheduled: 0/2 nodes are available", UNSCHEDULABLE)
    assert done(StateType.PENDING, job(replace(STUCK, leaving=True))) == []
    assert done(StateType.PENDING, job(replace(STUCK, started=True))) == []
    assert done(StateType.PENDING, job(STUCK, leaving=True)) == []
    assert done(StateType.RUNNING, job(STUCK)) == []


@pytest.mark.parametrize("kind", [StateType.RUNNING, StateType.CRASHED, StateType.FAILED, StateType.PENDING])
def test_out_of_memory_is_named(kind: StateType) -> None:
    killed = replace(DONE, killed="out of memory (OOMKilled)")
    found = decide(run(kind), [job(killed, ended=True)], "media", NOW)
    assert Say("Pod p: out of memory (OOMKilled)") in found
    assert done(StateType.COMPLETED, job(killed, ended=True)) == []


def test_a_run_is_told_which_pod_it_is_in() -> None:
    def place(*jobs: Job, node: str | None = None) -> list[object]:
        return list(decide(run(StateType.RUNNING, node=node), jobs, "media", NOW))

    assert place(job(RUNS)) == [Place(HERE)]
    assert place(job(RUNS), node="worker-1") == [Place(HERE)]
    assert place(job(RUNS), node=HERE) == []
    assert place(job(WAITS)) == []
    assert place(job(RUNS, leaving=True)) == []
    later = replace(job(Pod("q", started=True), name="k"), created=NOW)
    assert place(later, job(RUNS)) == [Place(NodeId("k8s/media/q"))]
    assert (in_pod(HERE), in_pod("worker-1"), in_pod(None)) == (True, False, False)


PODS = st.builds(Pod, name=st.just("p"), started=st.booleans(), leaving=st.booleans())
JOBS = st.lists(
    st.builds(
        Job,
        name=st.sampled_from("abc"),
        run=st.just("r"),
        created=st.just(NOW),
        ended=st.booleans(),
        leaving=st.booleans(),
        pods=st.lists(PODS, max_size=2).map(tuple),
    ),
    max_size=3,
)


@given(st.sampled_from(StateType), JOBS, st.integers(0, 10_000))
def test_whatever_is_there(kind: StateType, jobs: list[Job], after: int) -> None:
    found = decide(run(kind, after), jobs, "media", NOW)
    deleted = {action.job for action in found if isinstance(action, Delete)}
    assert deleted <= {each.name for each in jobs if not each.leaving}
    if kind in (StateType.RUNNING, StateType.SCHEDULED, StateType.PAUSED, StateType.PENDING):
        assert not deleted, "a run that goes on keeps its Jobs"
    if kind is StateType.CANCELLING and deleted:
        assert isinstance(found[0] if not isinstance(found[0], Place) else found[1], Cancelled)
    if any(isinstance(action, Reschedule) for action in found):
        assert (kind, jobs) == (StateType.PENDING, [])
    if any(each.started and not each.ended for each in jobs) and after < REPORT:
        assert not deleted or kind in (StateType.CANCELLED,), "a pod at work has its time"
