"""What every Archive and Cursor does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from skald_bridge.domain.lifecycle import StateType
from skald_bridge.ports import Archive, Cursor
from tests.contract.records import AT, document, task_id


async def test_documents_come_back_as_they_went_in(archive: Archive) -> None:
    task = task_id()
    written = document(task, deadline=AT.replace(microsecond=0), exception="no such file", ended=AT)
    await archive.put([written])
    assert await archive.get(task) == written
    assert await archive.get(task_id()) is None
    assert await archive.read([task, task_id()]) == {task: written}


async def test_an_older_state_never_overwrites_a_newer_one(archive: Archive) -> None:
    task = task_id()
    newer = document(task, 3, StateType.COMPLETED)
    await archive.put([newer, document(task, 2)])
    await archive.put([document(task, 1, StateType.SCHEDULED)])
    assert await archive.get(task) == newer


async def test_within_a_state_an_older_revision_never_overwrites_a_newer_one(archive: Archive) -> None:
    task = task_id()
    first = document(task, 2)
    second = replace(first, revision=2, attachments={"inputUrl": "b.mp4"})
    await archive.put([first])
    await archive.put([second])
    await archive.put([first])
    assert await archive.get(task) == second
    again = replace(second, executor=None)
    await archive.put([again])
    assert await archive.get(task) == again


async def test_open_and_find(archive: Archive) -> None:
    states = [StateType(name) for name in ("RUNNING", "COMPLETED", "CRASHED", "SCHEDULED", "PAUSED")]
    written = [
        document(task_id(), 1, state, created=AT + timedelta(seconds=number))
        for number, state in enumerate(states)
    ]
    written[3] = replace(written[3], class_name="Other")
    await archive.put(written)
    assert set(await archive.open()) == {written[number].id for number in (0, 3, 4)}
    assert await archive.find() == written[::-1]
    assert await archive.find(limit=2, offset=1) == [written[3], written[2]]
    assert await archive.find(status="Finished") == [written[1]]
    assert await archive.find(class_name="Other") == [written[3]]
    assert await archive.find(class_name="Other", status="Failed") == []


async def test_the_cursor_is_kept(cursor: Cursor) -> None:
    assert await cursor.load() is None
    for moment in (AT, AT + timedelta(microseconds=1)):
        await cursor.save(moment)
        assert await cursor.load() == moment
