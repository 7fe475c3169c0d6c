"""Documents taken, refused, and given again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from skald_bridge.domain.errors import Rejected, Unavailable
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus, StateType
from skald_bridge.domain.unrun_tasks import MOST_KEPT
from skald_bridge.services import document_intake
from skald_bridge.wire.skalds import read_submitted
from tests.unit.bridge.document_intake import Shop

T = TaskId("t")
OLD, NEW = {"url": "a.mp4"}, {"url": "b.mp4"}


@pytest.fixture
def shop() -> Shop:
    return Shop()


async def taken(shop: Shop, **fields: Any) -> None:
    shop.documents.insert(1, **{"attachments": OLD, **fields})
    await shop.step()
    shop.relay()


def attempts(shop: Shop) -> int:
    return sum(state.type is StateType.SCHEDULED for state in shop.engine.states.get(T, ()))


async def told(shop: Shop) -> list[LifecycleStatus]:
    return [record.lifecycle for _, record in await shop.journal.read(task=T)]


async def test_a_document_is_taken_once(shop: Shop) -> None:
    shop.documents.insert(1, attachments=OLD)
    for _ in range(3):
        await shop.step()
    shop.relay()
    await shop.step()
    assert attempts(shop) == 1
    assert shop.engine.told == ["create"]


@pytest.mark.parametrize("ref", [1, 2], ids=["replaced", "inserted again"])
@pytest.mark.parametrize("attachments", [OLD, NEW], ids=["as it was", "with others"])
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("end", [StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED])
async def test_given_again_after_its_end_is_a_new_attempt_with_what_it_says_now(
    shop: Shop, ref: int, attachments: dict[str, str], restarted: bool, end: StateType
) -> None:
    await taken(shop, isPersistent=True, description="first")
    await shop.end(type=end)
    assert shop.documents.of("t")["lifecycleStatus"] != "Created"
    if restarted:
        shop.reopen()
    del shop.documents.rows[1]
    shop.documents.insert(ref, attachments=attachments)
    for _ in range(3):
        await shop.step()
    assert attempts(shop) == 2
    task = shop.engine.tasks[T]
    assert task.attachments == attachments
    assert task.labels["skald.persistent"] is False and task.labels["skald.description"] == ""
    shop.relay()
    assert shop.documents.of("t")["lifecycleStatus"] == "Created"
    assert shop.documents.of("t")["appliedAttachments"] == attachments
    await shop.end()
    await shop.step()
    assert attempts(shop) == 2
    assert shop.documents.of("t")["lifecycleStatus"] == "Finished"
    assert shop.notes == []


@pytest.mark.parametrize("restarted", [False, True])
async def test_set_to_created_with_new_attachments(shop: Shop, restarted: bool) -> None:
    await taken(shop)
    await shop.end()
    if restarted:
        shop.reopen()
    shop.documents.rows[1] |= {"lifecycleStatus": "Created", "attachments": NEW}
    for _ in range(3):
        await shop.step()
    assert attempts(shop) == 2
    assert shop.engine.tasks[T].attachments == NEW
    shop.relay()
    await shop.end()
    await shop.step()
    assert attempts(shop) == 2


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_document_that_is_told_late_is_not_taken_for_a_new_one(shop: Shop, restarted: bool) -> None:
    shop.documents.insert(1, attachments=OLD)
    await shop.document_intake.step()
    shop.engine.move(T, StateType.RUNNING)
    shop.engine.move(T, StateType.COMPLETED)
    if restarted:  # before anybody has heard of the end
        shop.reopen()
    for _ in range(3):
        await shop.document_intake.step()
    await shop.sweep()  # heard of, and not told yet
    for _ in range(3):
        await shop.document_intake.step()
    assert await shop.document_intake.assigned(T) in (True, False)
    assert attempts(shop) == 1
    shop.relay()
    await shop.step()
    assert attempts(shop) == 1
    assert shop.documents.of("t")["lifecycleStatus"] == "Finished"


async def test_twice_in_a_row_as_it_was(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await taken(shop)
    await shop.end()
    for number in (2, 3):
        shop.documents.insert(1, attachments=OLD)
        await shop.step()
        assert attempts(shop) == number
        shop.relay()
        await shop.end()
        monkeypatch.setattr(document_intake, "UNCHANGED_SECONDS", 0.0)


async def test_what_the_store_never_takes_is_not_run_in_circles(shop: Shop) -> None:
    await taken(shop)
    await shop.end()
    for _ in range(5):
        shop.documents.insert(1, attachments=OLD)  # what is told of it never gets there
        await shop.step()
        shop.waiting.clear()
        if (state := shop.engine.tasks[T].state) is not None and not state.type.terminal:
            shop.engine.move(T, StateType.COMPLETED)
            await shop.sweep()
            shop.waiting.clear()
    assert attempts(shop) == 2


async def test_the_same_again_while_it_goes_on_is_told_how_it_is(shop: Shop) -> None:
    await taken(shop)
    shop.engine.move(T, StateType.RUNNING)
    await shop.sweep()
    shop.relay()
    shop.documents.insert(2, attachments=OLD)
    del shop.documents.rows[1]
    await shop.step()
    shop.relay()
    assert attempts(shop) == 1 and shop.notes == []
    assert shop.documents.of("t")["lifecycleStatus"] == "Running"


@pytest.mark.parametrize("ref", [1, 2])
@pytest.mark.parametrize("restarted", [False, True])
async def test_another_while_it_goes_on_is_refused_and_the_task_goes_on(
    shop: Shop, ref: int, restarted: bool
) -> None:
    await taken(shop)
    shop.engine.move(T, StateType.RUNNING)
    await shop.sweep()
    shop.relay()
    if restarted:
        shop.reopen()
    del shop.documents.rows[1]
    shop.documents.insert(ref, attachments=NEW)
    for _ in range(3):
        await shop.step()
        shop.relay()
    assert attempts(shop) == 1
    assert shop.engine.tasks[T].attachments == OLD
    assert shop.documents.of("t")["lifecycleStatus"] == "Running"
    assert [task for task, _ in shop.notes] == [T] and "goes on" in shop.notes[0][1]
    assert shop.commands.outcomes["create", "rejected"] == 1
    assert LifecycleStatus.FAILED not in await told(shop)


async def test_attachments_changed_before_the_document_was_told_anything_are_no_second_task(
    shop: Shop,
) -> None:
    shop.documents.insert(1, attachments=OLD)
    await shop.step()
    shop.documents.rows[1]["attachments"] = NEW
    await shop.step()
    shop.relay()
    await shop.step()
    assert shop.notes == [] and attempts(shop) == 1


@pytest.mark.parametrize("ended", [False, True])
async def test_another_class_name_is_refused(shop: Shop, ended: bool) -> None:
    await taken(shop)
    if ended:
        await shop.end()
    shop.documents.insert(2, className="Other", attachments=OLD)
    del shop.documents.rows[1]
    for _ in range(2):
        await shop.step()
        shop.relay()
    assert attempts(shop) == 1
    if ended:
        row = shop.documents.of("t")
        assert row["lifecycleStatus"] == "Failed" and "Probe" in row["exception"]
        shop.documents.insert(3, className="Other", attachments=OLD)
        del shop.documents.rows[2]
        await shop.step()
        assert shop.engine.tasks[T].class_name == "Probe" and attempts(shop) == 1
        shop.documents.insert(3, attachments=NEW)
        await shop.step()
        assert attempts(shop) == 2
    else:
        assert "Probe" in shop.notes[0][1]
        assert shop.documents.of("t")["lifecycleStatus"] == "Created"


@pytest.mark.parametrize("restarted", [False, True])
async def test_corrected_after_a_refusal_it_is_a_first_attempt(shop: Shop, restarted: bool) -> None:
    await taken(shop, attachments={"bad": 1})
    row = shop.documents.of("t")
    assert row["lifecycleStatus"] == "Failed" and "attachments.bad" in row["exception"]
    if restarted:
        shop.reopen()
    row |= {"lifecycleStatus": "Created", "attachments": {"bad": 2}}
    await shop.step()
    shop.relay()
    assert row["lifecycleStatus"] == "Failed"
    document = await shop.archive.get(T)
    assert document is not None and document.attachments == {"bad": 2}
    row |= {"lifecycleStatus": "Created", "attachments": NEW}
    await shop.step()
    shop.relay()
    assert attempts(shop) == 1 and shop.engine.tasks[T].attachments == NEW
    assert await told(shop) == ["Failed", "Created", "Failed", "Created"]
    assert row["exception"] is None


async def test_refused_after_its_end_it_is_failed_and_can_be_corrected(shop: Shop) -> None:
    await taken(shop)
    await shop.end()
    shop.documents.insert(1, attachments={"bad": 1})
    await shop.step()
    shop.relay()
    row = shop.documents.of("t")
    assert row["lifecycleStatus"] == "Failed" and "attachments.bad" in row["exception"]
    document = await shop.archive.get(T)
    assert document is not None and document.lifecycle is LifecycleStatus.FAILED
    row |= {"lifecycleStatus": "Created", "attachments": NEW}
    await shop.step()
    shop.relay()
    assert attempts(shop) == 2 and shop.engine.tasks[T].attachments == NEW
    assert row["lifecycleStatus"] == "Created" and row["exception"] is None


def submitted(attachments: dict[str, Any]) -> Any:
    return read_submitted({"id": "t", "className": "Probe", "attachments": attachments})


async def test_created_again_by_rest(shop: Shop) -> None:
    for _ in range(2):  # a client repeats what it got no answer to
        assert await shop.commands.create(submitted(OLD)) == T
        await shop.sweep()
    with pytest.raises(Rejected, match="other attachments") as caught:
        await shop.commands.create(submitted(NEW))
    assert caught.value.remedy
    await shop.end()
    for attachments in (OLD, NEW):
        with pytest.raises(Rejected, match="ended") as caught:
            await shop.commands.create(submitted(attachments))
        assert caught.value.remedy and "Created" in caught.value.remedy
    assert attempts(shop) == 1


async def test_refused_by_document_created_by_rest(shop: Shop) -> None:
    await taken(shop, attachments={"bad": 1})
    assert await shop.commands.create(submitted(NEW)) == T
    await shop.sweep()
    shop.relay()
    assert shop.documents.of("t")["lifecycleStatus"] == "Created"


async def test_a_task_born_in_prefect_is_not_made_twice(shop: Shop) -> None:
    await shop.commands.create(submitted(OLD))
    shop.engine.tasks[T] = replace(shop.engine.tasks[T], run="t")
    await shop.end()
    shop.documents.insert(1, attachments=NEW)
    shop.engine.told.clear()
    await shop.step()
    assert shop.engine.told == ["restart"]


BROKEN: dict[str, dict[str, Any]] = {
    "no id": {"id": None},
    "an id that is a number": {"id": 5},
    "an id that is an object": {"id": {"$oid": [1]}},
    "an id with a slash": {"id": "a/b"},
    "a className that is no text": {"id": "x", "className": {"a": 1}},
    "attachments that are a list": {"id": "x", "attachments": [1]},
    "nested deep": {"id": "x", "attachments": {"a": json.loads("[" * 90 + "]" * 90)}},
    "a date": {"id": "x", "attachments": {"at": object()}},
    "large": {"id": "x", "attachments": {"a": "x" * 11 * 2**20}},
}


@pytest.mark.parametrize("fields", BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_document_is_refused_alone_and_for_good(shop: Shop, fields: dict[str, Any]) -> None:
    shop.documents.insert(1, **fields)
    shop.documents.insert(2, attachments=OLD)
    await shop.step()
    assert attempts(shop) == 1
    assert shop.documents.rows[1]["lifecycleStatus"] == "Failed"
    assert shop.documents.rows[1]["exception"]
    shop.reopen()
    shop.documents.refused.clear()
    await shop.step()
    assert shop.documents.refused == [] and shop.aside == []


async def test_a_document_that_cannot_be_read_is_refused_with_its_field(shop: Shop) -> None:
    shop.documents.insert(1)
    shop.documents.problems[1] = "when: no year has this date"
    await shop.step()
    assert attempts(shop) == 0
    assert shop.documents.rows[1]["exception"] == "when: no year has this date"
    document = await shop.archive.get(T)
    assert document is not None and document.exception == "when: no year has this date"


async def test_a_defect_sets_one_document_aside(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.documents.insert(1)
    shop.documents.insert(2, id="good")
    create = shop.engine.create

    async def breaks(class_name: str, attachments: Any, *, task: TaskId, **said: Any) -> Any:
        if task == T:
            raise RuntimeError("a defect")
        return await create(class_name, attachments, task=task, **said)

    monkeypatch.setattr(shop.engine, "create", breaks)
    await shop.step()
    await shop.step()
    assert [(kind, str(error)) for kind, _, error in shop.aside] == [("document", "a defect")]
    assert shop.documents.rows[1]["lifecycleStatus"] == "Failed"
    assert "RuntimeError: a defect" in shop.documents.rows[1]["exception"]
    assert TaskId("good") in shop.engine.tasks


async def test_a_refusal_that_cannot_be_written_is_told_once(shop: Shop) -> None:
    shop.documents.insert(1, id=None)
    shop.documents.insert(2, attachments={"bad": 1})
    shop.documents.stubborn |= {1, 2}
    for _ in range(5):
        await shop.step()
        shop.waiting.clear()
    assert sorted(shop.documents.refused) == [1, 2]
    assert [kind for kind, _, _ in shop.aside] == ["refusal of document"] * 2


async def test_a_service_that_is_away_is_tried_again(shop: Shop) -> None:
    shop.documents.insert(1, attachments=OLD)
    shop.engine.away = True
    with pytest.raises(Unavailable):
        await shop.step()
    shop.engine.away = False
    await shop.step()
    assert attempts(shop) == 1 and shop.aside == []


async def test_what_is_kept_of_a_refused_document_is_bounded(shop: Shop) -> None:
    for ref, size in ((1, MOST_KEPT // 2), (2, MOST_KEPT)):
        shop.documents.insert(ref, id=f"t{ref}", className="Nobody", attachments={"a": "x" * size})
    await shop.step()
    small, large = [await shop.archive.get(TaskId(f"t{ref}")) for ref in (1, 2)]
    assert small is not None and len(small.attachments["a"]) == MOST_KEPT // 2
    assert large is not None and large.attachments == {}
    assert large.exception is not None
    assert "Nobody" in large.exception and "not kept" in large.exception
    shop.relay()
    assert len(shop.documents.of("t2")["attachments"]["a"]) == MOST_KEPT
