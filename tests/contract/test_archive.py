"""What every Archive and Cursor does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus, StateType
from skald_bridge.domain.task_filter import TaskFilter
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
    assert await archive.find(TaskFilter(LifecycleStatus.FINISHED)) == [written[1]]
    assert await archive.find(TaskFilter(class_name="Other")) == [written[3]]
    assert await archive.find(TaskFilter(LifecycleStatus.FAILED, "Other")) == []


async def test_what_is_wanted_is_text_and_not_a_pattern(archive: Archive) -> None:
    odd = TaskId("Probe.*[a-z]{2}(%_)\\d$1")
    names = [("Probe", "n1"), ("probeCut", "n2"), ("Cut", "n2")]
    written = [
        document(
            odd if number == 1 else task_id(),
            class_name=name,
            executor=NodeId(node),
            created=AT + timedelta(seconds=number),
        )
        for number, (name, node) in enumerate(names)
    ]
    await archive.put(written)
    plain, both, cut = written
    for wanted, expected in [
        (TaskFilter(executor="n2"), [cut, both]),
        (TaskFilter(executor="n"), []),
        (TaskFilter(class_part="PROBE"), [both, plain]),
        (TaskFilter(class_part="cut", executor="n2"), [cut, both]),
        (TaskFilter(class_name="probe"), []),
        (TaskFilter(id_part=plain.id[3:9].upper()), [plain]),
        (TaskFilter(id_part=".*[A-Z]{2}(%_)\\D$"), [both]),
        (TaskFilter(id_part=".*", class_part="probe"), [both]),
        (TaskFilter(id_part="%"), [both]),
        (TaskFilter(id_part="_"), [both]),
        (TaskFilter(class_part="pr.be"), []),
        (TaskFilter(id_part="\0"), []),
        (TaskFilter(class_part=""), [cut, both, plain]),
        (TaskFilter(LifecycleStatus.RUNNING, "Cut", "n2", cut.id, "ut"), [cut]),
    ]:
        assert await archive.find(wanted) == expected, wanted
        assert await archive.count(wanted) == len(expected), wanted
        assert await archive.find(wanted, limit=1) == expected[:1], wanted


async def test_counts_and_class_names(archive: Archive) -> None:
    assert (await archive.count(), await archive.statuses(), await archive.class_names()) == (0, {}, [])
    states = ["RUNNING", "COMPLETED", "CRASHED", "FAILED", "CANCELLING"]
    await archive.put(
        [
            document(task_id(), 1, StateType(name), class_name=f"Type{number % 2}")
            for number, name in enumerate(states)
        ]
    )
    assert await archive.count() == 5
    assert await archive.statuses() == {
        LifecycleStatus.RUNNING: 2,
        LifecycleStatus.FINISHED: 1,
        LifecycleStatus.FAILED: 2,
    }
    assert await archive.class_names() == ["Type0", "Type1"]


async def test_the_cursor_is_kept(cursor: Cursor) -> None:
    assert await cursor.load() is None
    for moment in (AT, AT + timedelta(microseconds=1)):
        await cursor.save(moment)
        assert await cursor.load() == moment
