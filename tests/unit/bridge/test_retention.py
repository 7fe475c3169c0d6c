"""What is pruned, and what stays because a relay owes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock, patch

import pytest

from skald_bridge import main
from skald_bridge.domain.commands import Controller
from skald_bridge.domain.lifecycle import TERMINAL, StateType
from skald_bridge.domain.retention import (
    EVERYTHING,
    READS,
    RECORDINGS,
    SWEPT_AGAIN,
    Delivered,
    RelayFeed,
    delivered,
    ended_before,
)
from skald_bridge.services import persistent_tasks
from skald_bridge.services import relays as carriers
from skald_bridge.services.dead_letters import DeadLetters
from skald_bridge.services.relay import Relay
from skald_bridge.services.sweep import GAP_MARGIN, MARGIN
from skald_bridge.settings import Settings
from tests.contract.records import AT, document, record, task_id
from tests.unit.bridge.pruned import ALONE, KEEP, LATER, LIFE, Clock, Counting, Stage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Counting(tmp_path / "journal.db") as file:
        stage = Stage(file)
        await stage.cursor.save(LATER)
        yield stage


async def test_what_ended_long_ago_goes_and_nothing_else(stage: Stage) -> None:
    old = [await stage.ran(*LIFE[:-1], state) for state in sorted(TERMINAL)]
    gone = await stage.ran(ended=None)
    for task in (*old, gone):
        await stage.recorded(task)
    opened = {
        await stage.ran(StateType.SCHEDULED),
        await stage.ran(*LIFE[:3]),
        await stage.ran(*LIFE, StateType.SCHEDULED),
    }
    within = await stage.ran(at=LATER - KEEP + timedelta(hours=1))
    long_lived = await stage.ran(ended=LATER - timedelta(days=1), updated=LATER - timedelta(days=1))
    await stage.told(*ALONE)
    await stage.prune()
    assert await stage.left() == {*opened, within, long_lived}
    assert [found for task in (*old, gone) for found in await stage.recordings.of(task)] == []


async def test_what_a_relay_owes_stays_until_it_is_delivered(stage: Stage) -> None:
    for relay in sorted(set(READS) - set(ALONE)):
        owed = await stage.ran(revision=1)
        await stage.archive.put([document(owed, 4, StateType.COMPLETED, created=AT, ended=AT, revision=2)])
        await stage.recorded(owed)
        keeps = await stage.ran(at=LATER)
        await stage.told(*ALONE)
        await stage.prune(*ALONE, relay)
        assert owed in await stage.left(), f"{relay} has never delivered anything"
        await stage.told(relay)
        await stage.prune(*ALONE, relay)
        left = await stage.left()
        assert owed not in left, relay
        assert keeps in left
        await stage.positions.save(relay, 0)


async def test_a_position_one_short_keeps_the_task_and_its_whole_journal(stage: Stage) -> None:
    task = await stage.ran()
    await stage.ran(at=LATER)
    last = (await stage.journal.read(task=task))[-1][0]
    await stage.told(*ALONE)
    for relay in ALONE:
        await stage.positions.save(relay, last - 1)
        await stage.prune()
        assert len(await stage.journal.read(task=task)) == len(LIFE), relay
        await stage.positions.save(relay, last)
    await stage.prune()
    assert task not in await stage.left()


async def test_a_relay_that_is_no_longer_configured_owes_nothing(stage: Stage) -> None:
    await stage.ran()
    newest = await stage.ran(at=LATER)
    await stage.told(*ALONE)
    await stage.positions.save("kafka", 1)
    await stage.prune()
    assert await stage.left() == {newest}


async def test_the_position_of_such_a_relay_goes_once_it_says_nothing(stage: Stage) -> None:
    """It would begin with the first of what is left, with that position or without one."""
    await stage.ran()
    await stage.ran(at=LATER)
    await stage.told(*ALONE, "mongodb")
    await stage.positions.save("kafka", 3)
    await stage.prune()
    names = {row[0] for row in await stage.file.rows("SELECT name FROM delivered")}
    assert names == {*ALONE, "mongodb"}


async def test_the_newest_document_stays_so_that_no_change_gets_an_old_number(stage: Stage) -> None:
    await stage.ran()
    newest = await stage.ran()
    await stage.told(*ALONE, "mongodb")
    position = (await stage.journal.tail(1))[-1][0]
    change = await stage.archive.newest()
    await stage.prune(*ALONE, "mongodb")
    assert await stage.left() == {newest}
    later = await stage.ran()
    assert (await stage.archive.changed(change, 10))[0][1].id == later
    assert [found.task for _, found in await stage.journal.read(after=position)] == [later] * len(LIFE)


async def test_an_emptied_journal_can_be_skimmed_and_goes_on_counting(stage: Stage) -> None:
    task = await stage.ran()
    position = (await stage.journal.tail(1))[-1][0]
    await stage.archive.put([document(task_id())])
    await stage.told(*ALONE)
    await stage.prune()
    assert await stage.journal.read() == []
    assert await stage.journal.skim([StateType.FAILED], after=0, limit=10) == []
    again = record(task, 1)
    await stage.journal.append([again])
    assert await stage.journal.skim([StateType.FAILED], after=position, limit=10) == [(position + 1, again)]


async def test_what_an_open_task_waits_for_stays(stage: Stage) -> None:
    needed = await stage.ran()
    await stage.ran()
    waits = await stage.ran(StateType.SCHEDULED, extra={"dependencies": [needed]})
    await stage.told(*ALONE)
    await stage.prune()
    assert await stage.left() == {needed, waits}


async def test_nothing_is_pruned_that_the_sweep_will_see_again(stage: Stage) -> None:
    """Where nothing has ended since, its cursor stands at the last end, however long ago that was."""
    before, seen_again = await stage.ran(at=AT - timedelta(days=1)), await stage.ran(at=AT)
    await stage.told(*ALONE)
    await stage.file.run(lambda connection: connection.execute("DELETE FROM cursor"))
    await stage.prune()
    assert await stage.left() == {seen_again, before}
    await stage.cursor.save(AT)
    await stage.prune()
    assert await stage.left() == {seen_again}
    assert max(GAP_MARGIN, MARGIN) < SWEPT_AGAIN


async def test_a_bridge_prunes_unless_everything_is_to_be_kept(tmp_path: Path) -> None:
    with patch.object(main, "PrefectEngine", lambda **_: nullcontext(Mock())):
        async with main.embedded(tmp_path / "journal.db") as bridge:
            assert "retention" in [loop.name for loop in bridge.loops]
        for_ever = Settings.model_construct(retention_days=0.0)
        async with main.bridge(tmp_path / "journal.db", for_ever) as bridge:
            assert "retention" not in [loop.name for loop in bridge.loops]


def test_what_relays_owe() -> None:
    assert delivered({}) == Delivered()
    assert delivered({"kafka": 5, "errors": 3, "redis": 9, "mongodb": 8}) == Delivered(
        3, 8, EVERYTHING, EVERYTHING
    )
    assert delivered({"kafka-updates": 2, "mongodb-recordings": 1}) == Delivered(revised=2, recordings=1)
    assert delivered({"kafka": 5, "of another version": 0}) == Delivered(0, 0, 0, 0)


def test_from_when_on_it_is_kept() -> None:
    assert ended_before(LATER, KEEP, None) is None
    assert ended_before(LATER, KEEP, LATER) == LATER - KEEP
    assert ended_before(LATER, KEEP, AT) == AT - SWEPT_AGAIN


async def test_every_relay_reads_what_is_known_of_it() -> None:
    stored: Any = Mock()
    stored.load = AsyncMock(return_value=0)
    feeds = {
        RelayFeed.JOURNAL: ("read", "skim"),
        RelayFeed.CHANGES: ("changed",),
        RelayFeed.REVISED: ("revised",),
        RelayFeed.RECORDINGS: ("added",),
    }
    for name in (name for names in feeds.values() for name in names):
        setattr(stored, name, AsyncMock(return_value=[]))
    clock = Clock()
    letters = DeadLetters(None, clock)
    relays: list[Relay[Any]] = [
        *carriers.to_kafka(stored, stored, stored, stored, letters),
        *carriers.to_redis(stored, stored, stored, clock, letters),
        carriers.to_people(stored, stored, stored, clock, letters),
        *carriers.to_mongo(stored, stored, stored, Controller.OURS, letters),
        carriers.recordings_to_mongo(stored.added, stored, stored, letters),
        persistent_tasks.revivals(stored, stored, stored, stored, clock),
    ]
    assert {relay.name for relay in relays} | {RECORDINGS} == set(READS)
    for relay in relays:
        stored.reset_mock()
        await relay.step()
        read = {feed for feed, names in feeds.items() if any(getattr(stored, name).called for name in names)}
        assert read == {READS[relay.name]}, relay.name
