from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from skald_bridge.adapters.sqlite import SqliteArchive, SqlitePositions
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.services.relay import IDLE_SECONDS, Relay
from tests.contract.records import document, task_id


class Positions:
    def __init__(self) -> None:
        self.kept: dict[str, int] = {}

    async def load(self, name: str) -> int:
        return self.kept.get(name, 0)

    async def save(self, name: str, position: int) -> None:
        self.kept[name] = position


class Elsewhere:
    """Takes what it is given, unless it is away."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.away = False

    async def deliver(self, items: Sequence[str]) -> None:
        if self.away:
            raise Unavailable("away")
        self.got += items


async def letters(after: int, limit: int) -> list[tuple[int, str]]:
    return list(enumerate("abcde", 1))[after:][:limit]


async def test_everything_is_delivered_once_in_order_in_batches() -> None:
    elsewhere, positions = Elsewhere(), Positions()
    relay = Relay("kafka", letters, elsewhere.deliver, positions, batch=2)
    assert [await relay.step() for _ in range(4)] == [0.0, 0.0, 0.0, IDLE_SECONDS]
    assert elsewhere.got == list("abcde")
    assert positions.kept == {"kafka": 5}


async def test_what_could_not_be_delivered_stays_where_it_is() -> None:
    elsewhere, positions = Elsewhere(), Positions()
    relay = Relay("kafka", letters, elsewhere.deliver, positions, batch=2)
    await relay.step()
    elsewhere.away = True
    with pytest.raises(Unavailable):
        await relay.step()
    elsewhere.away = False
    while await relay.step() < IDLE_SECONDS:
        pass
    assert elsewhere.got == list("abcde")


async def test_after_a_restart_it_goes_on_where_it_was() -> None:
    elsewhere, positions = Elsewhere(), Positions()
    await Relay("kafka", letters, elsewhere.deliver, positions, batch=3).step()
    await Relay("kafka", letters, elsewhere.deliver, positions, batch=3).step()
    assert elsewhere.got == list("abcde")


async def test_the_archive_tells_what_changed_and_what_was_revised(tmp_path: Path) -> None:
    async with SqliteFile(tmp_path / "journal.db", write=True) as file:
        archive, positions = SqliteArchive(file), SqlitePositions(file)
        first, second = document(task_id()), document(task_id())
        await archive.put([first, second])
        assert await archive.changed(0, 10) == [(1, first), (2, second)]
        assert await archive.revised(0, 10) == []

        ended = replace(first, sequence=2, lifecycle=document(first.id, 2, StateType.COMPLETED).lifecycle)
        updated = replace(second, revision=2, attachments={"inputUrl": "b.mp4"})
        await archive.put([ended, updated])
        assert await archive.changed(2, 10) == [(3, ended), (4, updated)]
        assert await archive.changed(2, 1) == [(3, ended)]
        assert await archive.revised(0, 10) == [(4, updated)]

        await archive.put([replace(updated, sequence=2)])
        assert await archive.revised(4, 10) == []
        await archive.put([first])
        assert len(await archive.changed(5, 10)) == 0

        assert await positions.load("mongodb") == 0
        await positions.save("mongodb", 4)
        await positions.save("kafka", 2)
        assert (await positions.load("mongodb"), await positions.load("kafka")) == (4, 2)


async def test_its_lag_begins_when_something_waits_and_ends_when_all_is_delivered() -> None:
    elsewhere = Elsewhere()
    relay = Relay("kafka", letters, elsewhere.deliver, Positions(), batch=3)
    assert relay.lag == 0
    elsewhere.away = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            await relay.step()
    first = relay.lag
    await asyncio.sleep(0.001)
    assert relay.lag > first >= 0
    elsewhere.away = False
    await relay.step()
    assert relay.lag > 0
    while await relay.step() == 0:
        pass
    assert (relay.lag, elsewhere.got) == (0, list("abcde"))


async def test_what_comes_soon_goes_along_once_it_has_caught_up() -> None:
    elsewhere, items = Elsewhere(), ["a", "b", "c"]

    async def feed(after: int, limit: int) -> list[tuple[int, str]]:
        return list(enumerate(items, 1))[after:][:limit]

    batches: list[list[str]] = []

    async def deliver(some: Sequence[str]) -> None:
        batches.append(list(some))
        await elsewhere.deliver(some)

    relay = Relay("mongodb", feed, deliver, Positions(), batch=2, linger=0.05)
    await relay.step()
    await relay.step()
    items.append("d")
    step = asyncio.create_task(relay.step())
    await asyncio.sleep(0)
    items.append("e")
    await step
    assert batches == [["a", "b"], ["c"], ["d", "e"]]
