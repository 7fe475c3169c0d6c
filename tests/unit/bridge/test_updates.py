"""Whether a task has attachments already, when its answer is known before the mirror has heard of it."""

from __future__ import annotations

from unittest.mock import create_autospec

import pytest

from skald_bridge.adapters.clock import SystemClock
from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.ports import Engine
from skald_bridge.services.commands import Commands, Updated
from skald_bridge.services.dependencies import Dependents
from skald_bridge.services.mirror import Mirror
from tests.contract.records import document, task_id
from tests.services.memory_stores import MemoryArchive, MemoryJournal
from tests.unit.bridge.facts import TASK, state, task

OLD, NEW = {"frameRate": 25}, {"frameRate": 50}


@pytest.mark.parametrize("outcome", ["applied", "stored", "rejected"])
async def test_back_to_what_was_heard_last_is_news_until_the_answer_is_heard_of(outcome: str) -> None:
    engine, archive, updated = create_autospec(Engine), MemoryArchive(), task_id()
    engine.update.return_value = (outcome, 2, None)
    engine.read.return_value, engine.is_unreadable.return_value = {}, False
    mirror = Mirror(engine, MemoryJournal(), None, archive, SystemClock())
    commands = Commands(engine, mirror, archive, Dependents(engine, archive, mirror.memory), SystemClock())
    heard = document(updated, revision=1, attachments=OLD)
    assert commands.has(heard, OLD)
    assert await commands.update(updated, NEW) == Updated(outcome, 2, None)
    assert commands.has(heard, OLD) == (outcome == "rejected")
    assert commands.has(document(updated, revision=2, attachments=NEW), NEW)
    assert not commands.has(document(updated, revision=2, attachments=NEW), OLD)


async def test_what_is_stored_for_a_task_that_waits_is_in_the_archive_at_once() -> None:
    engine, archive, waiting = create_autospec(Engine), MemoryArchive(), state(0, StateType.SCHEDULED)
    mirror = Mirror(engine, MemoryJournal(), None, archive, SystemClock())
    commands = Commands(engine, mirror, archive, Dependents(engine, archive, mirror.memory), SystemClock())
    engine.read.return_value = {TASK: task(waiting, attachments=OLD)}
    engine.history.return_value = [waiting]
    await mirror.look([TASK])
    engine.update.return_value = ("stored", 2, None)
    engine.read.return_value = {TASK: task(waiting, attachments=NEW, revision=2)}
    await commands.update(TASK, NEW)
    found = await archive.get(TASK)
    assert found is not None
    assert (found.attachments, found.revision) == (NEW, 2)


async def test_what_is_stored_is_stored_though_prefect_goes_away() -> None:
    engine, archive = create_autospec(Engine), MemoryArchive()
    mirror = Mirror(engine, MemoryJournal(), None, archive, SystemClock())
    commands = Commands(engine, mirror, archive, Dependents(engine, archive, mirror.memory), SystemClock())
    engine.update.return_value = ("stored", 2, None)
    engine.read.side_effect = Unavailable("Prefect is away")
    assert await commands.update(TASK, NEW) == Updated("stored", 2, None)
