"""What the bridge does of itself it does once, however late the mirror hears of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import AsyncMock

import pytest

from skald_bridge.adapters.clock import SystemClock
from skald_bridge.domain.dependencies import HELD
from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.mirror import Known
from skald_bridge.services.dependencies import Dependents
from skald_bridge.services.persistent_tasks import revivals
from skald_bridge.services.task_cache import TaskCache
from tests.contract.records import document, record, task_id
from tests.services.memory_stores import MemoryArchive, MemoryJournal
from tests.unit.bridge.facts import state, task

CLOCK = SystemClock()


class Prefect:
    """Tasks as Prefect has them; the mirror hears of none of the changes."""

    def __init__(self, *tasks: Task) -> None:
        self.tasks = {each.id: each for each in tasks}
        self.did: list[TaskId] = []

    async def read(self, tasks: Sequence[TaskId]) -> dict[TaskId, Task]:
        return {id_: self.tasks[id_] for id_ in tasks if id_ in self.tasks}

    async def release(self, id_: TaskId) -> None:
        self.did.append(id_)
        self.tasks[id_] = replace(self.tasks[id_], state=state(1, StateType.SCHEDULED))

    async def retry(self, id_: TaskId, *, after: float = 0) -> None:
        self.did.append(id_)
        self.tasks[id_] = replace(self.tasks[id_], state=state(2, StateType.SCHEDULED, name="AwaitingRetry"))


async def held(archive: MemoryArchive) -> tuple[TaskCache, TaskId]:
    """A task that waits for a finished one, as the mirror remembers it."""
    first, second = task_id(), task_id()
    await archive.put([document(first, state=StateType.COMPLETED)])
    memory = TaskCache()
    last = replace(record(second, 1, StateType.SCHEDULED), name=HELD)
    waiting = document(second, state=StateType.SCHEDULED, extra={"dependencies": [first]})
    memory.keep(second, Known(last=last, document=waiting))
    return memory, second


@pytest.mark.parametrize("later", [StateType.SCHEDULED, StateType.RUNNING, StateType.COMPLETED])
async def test_a_task_is_released_once(later: StateType) -> None:
    archive = MemoryArchive()
    memory, waiting = await held(archive)
    prefect = Prefect(replace(task(state(0, StateType.SCHEDULED, name=HELD)), id=waiting))
    dependents = Dependents(prefect, archive, memory)  # type: ignore[arg-type]
    await dependents.step()
    assert prefect.did == [waiting]
    prefect.tasks[waiting] = replace(prefect.tasks[waiting], state=state(2, later))
    await dependents.step()
    assert prefect.did == [waiting]


async def test_a_task_that_was_deleted_is_not_released() -> None:
    archive = MemoryArchive()
    memory, _ = await held(archive)
    prefect = Prefect()
    await Dependents(prefect, archive, memory).step()  # type: ignore[arg-type]
    assert prefect.did == []


@pytest.mark.parametrize("persistent", [True, False])
async def test_a_persistent_task_begins_again_once_a_death(persistent: bool) -> None:
    journal, archive, positions = MemoryJournal(), MemoryArchive(), AsyncMock()
    positions.load.return_value = 0
    died = replace(record(task_id(), 4, StateType.CRASHED), at=CLOCK.now())
    await journal.append([died])
    await archive.put([document(died.task, 4, StateType.CRASHED, state_id=died.id, is_persistent=persistent)])
    prefect = Prefect(replace(task(replace(state(0, StateType.CRASHED), id=died.id)), id=died.task))
    revive = revivals(journal, archive, positions, prefect, CLOCK)  # type: ignore[arg-type]
    await revive.step()
    assert prefect.did == [died.task] * persistent
    # The bridge died before it had noted how far it was; meanwhile the next attempt has ended.
    prefect.tasks[died.task] = replace(prefect.tasks[died.task], state=state(3, StateType.COMPLETED))
    await revivals(journal, archive, positions, prefect, CLOCK).step()  # type: ignore[arg-type]
    assert prefect.did == [died.task] * persistent
