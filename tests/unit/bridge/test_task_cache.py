"""What the mirror remembers is bounded, and what has ended goes first."""

from __future__ import annotations

from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.mirror import Known
from skald_bridge.services.task_cache import TaskCache
from tests.contract.records import record


def known(task: TaskId, state: StateType) -> Known:
    return Known(record(task, 1, state))


def test_ended_tasks_are_forgotten_before_those_at_work() -> None:
    memory = TaskCache(100, ended=3)
    live = [TaskId(f"live-{number}") for number in range(10)]
    ended = [TaskId(f"ended-{number}") for number in range(10)]
    for task in live:
        memory.keep(task, known(task, StateType.RUNNING), changed=True)
    for task in ended:
        memory.keep(task, known(task, StateType.COMPLETED), changed=True)
    assert [task for task in ended if task in memory] == ended[-3:]
    assert all(task in memory for task in live)
    assert memory.changed(ended[0]) == 0


def test_a_task_that_begins_again_has_not_ended() -> None:
    memory = TaskCache(100, ended=1)
    first, second = TaskId("first"), TaskId("second")
    memory.keep(first, known(first, StateType.FAILED))
    memory.keep(first, known(first, StateType.RUNNING))
    memory.keep(second, known(second, StateType.FAILED))
    assert first in memory and second in memory


def test_all_of_it_is_bounded() -> None:
    memory = TaskCache(5)
    for number in range(20):
        memory.keep(TaskId(str(number)), known(TaskId(str(number)), StateType.RUNNING))
    assert [number for number in range(20) if TaskId(str(number)) in memory] == [15, 16, 17, 18, 19]


def test_a_task_waits_until_it_is_heard_to_be_taken() -> None:
    memory = TaskCache(10)
    task = TaskId("t")
    assert memory.may_wait(task)
    memory.keep(task, known(task, StateType.SCHEDULED))
    assert memory.may_wait(task)
    for state in (StateType.PENDING, StateType.RUNNING, StateType.COMPLETED):
        memory.keep(task, known(task, state))
        assert not memory.may_wait(task)
