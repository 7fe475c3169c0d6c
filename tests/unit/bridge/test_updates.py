"""Whether a task has attachments already, when its answer is known before the mirror has heard of it."""

from __future__ import annotations

from unittest.mock import AsyncMock

import pytest

from skald_bridge.adapters.clock import SystemClock
from skald_bridge.adapters.memory import MemoryArchive, MemoryJournal
from skald_bridge.services.commands import Commands, Updated
from skald_bridge.services.dependencies import Dependents
from skald_bridge.services.mirror import Mirror
from tests.contract.records import document, task_id

OLD, NEW = {"frameRate": 25}, {"frameRate": 50}


@pytest.mark.parametrize("outcome", ["applied", "stored", "rejected"])
async def test_back_to_what_was_heard_last_is_news_until_the_answer_is_heard_of(outcome: str) -> None:
    engine, archive, task = AsyncMock(), MemoryArchive(), task_id()
    engine.update.return_value = (outcome, 2, None)
    mirror = Mirror(engine, MemoryJournal(), None, archive, SystemClock())
    commands = Commands(engine, mirror, archive, Dependents(engine, archive, mirror.memory), SystemClock())
    heard = document(task, revision=1, attachments=OLD)
    assert commands.has(heard, OLD)
    assert await commands.update(task, NEW) == Updated(outcome, 2, None)
    assert commands.has(heard, OLD) == (outcome == "rejected")
    assert commands.has(document(task, revision=2, attachments=NEW), NEW)
    assert not commands.has(document(task, revision=2, attachments=NEW), OLD)
