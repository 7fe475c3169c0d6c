from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_bridge.domain.dependencies import Fail, Release, cycle, of_labels, verdicts, written
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus

A, B, C, D = (TaskId(name) for name in "abcd")
FINISHED, FAILED, CANCELLED = LifecycleStatus.FINISHED, LifecycleStatus.FAILED, LifecycleStatus.CANCELLED


def test_a_task_starts_when_all_it_waits_for_is_finished() -> None:
    waiting = {C: [A, B]}
    assert verdicts(waiting, {A: FINISHED}) == []
    assert verdicts(waiting, {A: FINISHED, B: LifecycleStatus.RUNNING}) == []
    assert verdicts(waiting, {A: FINISHED, B: FINISHED}) == [Release(C)]


@pytest.mark.parametrize(("status", "word"), [(FAILED, "failed"), (CANCELLED, "was cancelled")])
def test_a_task_fails_with_what_it_waits_for(status: LifecycleStatus, word: str) -> None:
    (verdict,) = verdicts({C: [A, B]}, {A: FINISHED, B: status})
    assert verdict == Fail(C, f"dependencies: task b, which it waits for, {word}")


def test_a_cycle_fails_all_that_are_in_it_and_those_behind_it_wait() -> None:
    waiting = {A: [B], B: [C], C: [A], D: [A]}
    found = {verdict.task: verdict for verdict in verdicts(waiting, {})}
    assert found.keys() == {A, B, C}
    assert found[A] == Fail(A, "dependencies: a cycle, a waits for b waits for c waits for a")


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=4), max_size=6)
)
def test_a_cycle_is_a_way_back_and_is_found_where_there_is_one(edges: dict[str, list[str]]) -> None:
    waiting = {TaskId(task): [TaskId(one) for one in ones] for task, ones in edges.items()}
    for task in waiting:
        reached: set[TaskId] = set()
        front = set(waiting[task])
        while front - reached:
            reached |= front
            front = {after for one in front for after in waiting.get(one, ())}
        loop = cycle(task, waiting)
        assert (loop is not None) == (task in reached)
        if loop is not None:
            assert loop[0] == loop[-1] == task
            assert all(after in waiting[one] for one, after in pairwise(loop))


def test_labels_that_others_wrote_are_no_dependencies() -> None:
    assert of_labels({"skald.dependencies": written(["a", "b"])}) == (A, B)
    for label in ("{", "5", '"a"', None, 7, "null"):
        assert of_labels({"skald.dependencies": label}) == ()
    assert of_labels({}) == ()
