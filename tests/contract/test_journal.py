"""What every Journal does."""

from __future__ import annotations

from dataclasses import replace

from skald_bridge.domain.lifecycle import StateType
from skald_bridge.ports import Journal
from tests.contract.records import record, task_id


async def test_records_come_back_as_they_went_in(journal: Journal) -> None:
    a, b = task_id(), task_id()
    written = [record(a, 1), record(b, 1), record(a, 2)]
    assert await journal.append(written) == 3
    read = await journal.read()
    assert [found for _, found in read] == written
    positions = [position for position, _ in read]
    assert positions == sorted(set(positions))
    assert [found for _, found in await journal.read(task=a)] == [written[0], written[2]]


async def test_a_repeat_changes_nothing(journal: Journal) -> None:
    task = task_id()
    written = [record(task, 1), record(task, 2)]
    await journal.append(written)
    before = await journal.read()
    assert await journal.append([*written, record(task, 3)]) == 1
    assert (await journal.read())[:2] == before
    assert await journal.append([]) == 0


async def test_last_and_contains(journal: Journal) -> None:
    a, b, c = task_id(), task_id(), task_id()
    written = [record(a, 1), record(a, 2), record(b, 1)]
    await journal.append(written)
    assert await journal.last([a, b, c]) == {a: written[1], b: written[2]}
    other = record(c, 1)
    assert await journal.contains([written[0].id, other.id]) == {written[0].id}
    assert await journal.contains([]) == set()
    assert await journal.last([]) == {}


async def test_reading_on_from_a_position(journal: Journal) -> None:
    task = task_id()
    written = [record(task, number) for number in range(1, 8)]
    await journal.append(written)
    first = await journal.read(limit=3)
    rest = await journal.read(after=first[-1][0])
    assert [found for _, found in first + rest] == written
    assert [found for _, found in await journal.tail(2)] == written[-2:]
    assert [found for _, found in await journal.tail(99)] == written
    assert await journal.read(after=rest[-1][0]) == []


async def test_skimming_states_moves_on_to_the_newest(journal: Journal) -> None:
    task = task_id()
    states = [
        StateType.SCHEDULED,
        StateType.RUNNING,
        StateType.FAILED,
        StateType.SCHEDULED,
        StateType.RUNNING,
    ]
    written = [replace(record(task, n), state=state) for n, state in enumerate(states, 1)]
    await journal.append(written)
    every = await journal.read()
    assert await journal.skim({StateType.SCHEDULED}, after=0, limit=10) == [every[0], every[3], every[4]]
    assert await journal.skim({StateType.SCHEDULED}, after=0, limit=1) == [every[0]]
    assert await journal.skim({StateType.FAILED}, after=every[2][0], limit=10) == [every[4]]
    assert await journal.skim({StateType.CRASHED, StateType.FAILED}, after=every[4][0], limit=10) == []


async def test_many_tasks_at_once(journal: Journal) -> None:
    written = [record(task_id(), 1) for _ in range(3000)]
    assert await journal.append(written) == 3000
    assert len(await journal.last([found.task for found in written])) == 3000
    assert len(await journal.contains([found.id for found in written])) == 3000
