"""How what was heard of a task is proven with as few questions as will do."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from skald_bridge.adapters.clock import SystemClock
from skald_bridge.domain.facts import State, StateHint
from skald_bridge.domain.ids import StateId, TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.services.intake import FEW, Inbox, Intake
from skald_bridge.services.mirror import Mirror
from tests.services.memory_stores import MemoryArchive, MemoryJournal
from tests.services.poll import auntil
from tests.unit.bridge.facts import TASK, hints, history, task

S = StateType
LIFE = history(S.SCHEDULED, S.PENDING, S.RUNNING, S.COMPLETED)


class House:
    """A mirror whose Prefect has the states in ``there``, and counts what it is asked."""

    def __init__(self) -> None:
        self.there: dict[TaskId, list[State]] = {TASK: LIFE}
        self.engine = AsyncMock()
        self.engine.read.side_effect = self._read
        self.engine.stored.side_effect = self._stored
        self.engine.history.side_effect = lambda task: self.there[task]
        self.journal = MemoryJournal()
        self.mirror = Mirror(self.engine, self.journal, None, MemoryArchive(), SystemClock())

    async def _read(self, tasks: list[TaskId]) -> dict[TaskId, Any]:
        return {one: replace(task(self.there[one][-1]), id=one) for one in tasks}

    async def _stored(self, states: list[StateId]) -> set[StateId]:
        known = {state.id for states in self.there.values() for state in states}
        return known.intersection(states)

    async def journaled(self) -> list[StateId]:
        return [record.id for _, record in await self.journal.read()]


@pytest.mark.parametrize("answer_first", [True, False])
async def test_the_answer_to_its_maker_proves_a_new_tasks_first_state(answer_first: bool) -> None:
    house = House()
    created, first = task(LIFE[0]), hints(LIFE)[0]
    if answer_first:
        await house.mirror.answered(created)
        assert await house.mirror.hear([first]) == set()
    else:
        assert await house.mirror.hear([first]) == {TASK}
        await house.mirror.answered(created)
    assert await house.journaled() == [LIFE[0].id]
    assert not house.engine.mock_calls


async def test_an_answer_with_another_state_proves_nothing() -> None:
    house = House()
    await house.mirror.answered(task(LIFE[1]))
    assert await house.mirror.hear(hints(LIFE)[:1]) == {TASK}
    assert await house.journaled() == []


async def test_a_state_is_asked_for_alone_and_one_that_never_was_is_not_journaled() -> None:
    house = House()
    await house.mirror.answered(task(LIFE[0]))
    await house.mirror.hear(hints(LIFE)[:2])
    house.there[TASK] = LIFE[:1]
    await house.mirror.prove([TASK])
    assert await house.journaled() == [LIFE[0].id]
    house.there[TASK] = LIFE
    await house.mirror.prove([TASK, TaskId("unknown")])
    assert await house.journaled() == [LIFE[0].id, LIFE[1].id]
    assert not house.engine.read.mock_calls


@pytest.mark.parametrize("count", [1, FEW, FEW + 1])
async def test_few_states_are_asked_for_one_by_one_and_many_tasks_at_once(count: int) -> None:
    house, inbox = House(), Inbox(lambda: None)
    intake = Intake(inbox, house.mirror, lambda: None)
    tasks = [TaskId(f"task-{number}") for number in range(count)]
    lives = {one: [replace(state, id=StateId(f"{one}-{state.id}")) for state in LIFE[:2]] for one in tasks}
    house.there = lives
    for one, (first, second) in lives.items():
        await house.mirror.answered(replace(task(first), id=one))
        await house.mirror.hear([StateHint(one, first, None, first=True, class_name="Probe")])
        inbox.put(StateHint(one, second, first.id, class_name="Probe"))
    running = asyncio.create_task(_forever(intake))

    async def all_proven() -> bool:
        return len(await house.journaled()) == 2 * count

    await auntil(all_proven, 5, "every state proven")
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert bool(house.engine.stored.mock_calls) == (count <= FEW)
    assert bool(house.engine.read.mock_calls) == (count > FEW)


async def _forever(intake: Intake) -> None:
    while True:
        await intake.step()
