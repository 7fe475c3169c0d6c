"""One item that cannot be handled holds up none of the others."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from skald_bridge.adapters.clock import SystemClock
from skald_bridge.adapters.prefect_unreadable import is_stub, read_around
from skald_bridge.adapters.sqlite import SqliteArchive, SqliteJournal
from skald_bridge.adapters.sqlite_dead_letters import SqliteDeadLetters, ask_again
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.domain.commands import Received
from skald_bridge.domain.dead_letters import DeadLetter, Kind
from skald_bridge.domain.errors import Failing, InvalidInput, Unavailable, Undeliverable
from skald_bridge.domain.facts import State
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.services.dead_letters import TRIES, DeadLetters, Suspicion, isolated
from skald_bridge.services.mirror import Mirror
from skald_bridge.services.relay import Relay
from skald_bridge.services.replays import Replays
from skald_bridge.wire.topics import rejection_of
from tests.contract.records import AT, task_id
from tests.services.memory_stores import MemoryArchive, MemoryJournal
from tests.unit.bridge.facts import history, state, task
from tests.unit.bridge.test_relay import Positions

CLOCK = SystemClock()


class Store:
    """Takes all letters but ``bad`` ones; a batch longer than ``most`` takes it too long."""

    def __init__(self, bad: str = "", most: int = 1000) -> None:
        self.bad, self.most = bad, most
        self.got: list[str] = []
        self.aside: list[str] = []
        self.asked: list[int] = []

    async def take(self, items: Sequence[str]) -> None:
        self.asked.append(len(items))
        if len(items) > self.most:
            raise Unavailable("timed out")
        if set(items) & set(self.bad):
            raise Undeliverable("too large")
        self.got += items

    async def leave(self, item: str, error: Exception) -> None:
        self.aside.append(item)


@pytest.mark.parametrize("bad", ["", "a", "h", "d", "ah", "abcdefgh"])
async def test_what_is_at_fault_is_found_and_the_rest_goes_on_in_order(bad: str) -> None:
    store = Store(bad)
    await isolated("abcdefgh", store.take, store.leave)
    assert store.got == [letter for letter in "abcdefgh" if letter not in bad]
    assert store.aside == list(bad)


async def test_a_service_that_is_away_blames_no_item() -> None:
    store = Store("a", most=3)
    with pytest.raises(Unavailable):
        await isolated("abcdefgh", store.take, store.leave)
    assert store.aside == []


async def test_a_relay_leaves_out_what_is_refused_and_is_there_for_the_rest() -> None:
    store, positions = Store("ce"), Positions()

    async def feed(after: int, limit: int) -> list[tuple[int, str]]:
        return list(enumerate("abcdef", 1))[after:][:limit]

    relay = Relay("mongodb", feed, store.take, positions, batch=4, aside=store.leave)
    while positions.kept.get("mongodb") != 6:
        await relay.step()
    assert (store.got, store.aside) == (list("abdf"), ["c", "e"])


async def test_a_batch_that_takes_too_long_shrinks_and_grows_again() -> None:
    store, positions = Store(most=3), Positions()

    async def feed(after: int, limit: int) -> list[tuple[int, str]]:
        return list(enumerate("x" * 100, 1))[after:][:limit]

    relay = Relay("mongodb", feed, store.take, positions, batch=16)
    failures = 0
    while positions.kept.get("mongodb") != 100:
        try:
            await relay.step()
        except Unavailable:
            failures += 1
    assert len(store.got) == 100
    store.most = 1000
    positions.kept.clear()
    relay = Relay("mongodb", feed, store.take, positions, batch=16)
    await relay.step()
    assert store.asked[-1] == 16


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b"\0" * 200_000, b"k"),
        (b"\x7f" * 250_000, None),
        ("\N{PILE OF POO}" * 60_000).encode() and (b"[" * 300_000, b"\0" * 300_000),
        (b"\xff\xfe" * 500_000, b"\xff" * 10_000),
        (b'\\"' * 130_000, b'"' * 10_000),
    ],
    ids=["nul", "del", "brackets-and-nul-key", "no-utf-8", "quotes"],
)
def test_a_rejection_is_bounded_after_escaping(value: bytes, key: bytes | None) -> None:
    message = rejection_of(Received("task.cancel", 0, 7, key, value), "\x01" * 100_000, AT)
    assert len(message.value) < 700_000
    told = orjson.loads(message.value)
    assert (told["topic"], told["offset"], told["size"]) == ("task.cancel", 7, len(value))


def test_a_reason_that_is_no_unicode_is_told_all_the_same() -> None:
    message = rejection_of(Received("task.cancel", 0, 7, None, b"{}"), "\ud800 is wrong", AT)
    assert orjson.loads(message.value)["text"] == "{}"


async def test_an_item_is_kept_with_its_newest_reason_and_can_be_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteFile(path, write=True) as file:
        store = SqliteDeadLetters(file)
        letters = DeadLetters(store, CLOCK)
        await letters.put(Kind.RECORD, "task.cancel/0/7", RecursionError("deep"), key=b"k", body=b"\xff")
        await letters.put(Kind.RECORD, "task.cancel/0/7", RecursionError("deep"), key=b"k", body=b"\xff")
        await letters.put(Kind.TASK, "\ud800", InvalidInput("odd \ud800"))
        found = await store.newest()
        assert [(each.kind, each.defect) for each in found] == [(Kind.TASK, False), (Kind.RECORD, True)]
        assert (found[1].key, found[1].body, found[1].reason) == (b"k", b"\xff", "RecursionError: deep")
        assert letters.counts == {Kind.RECORD: 1, Kind.TASK: 1}
        assert await store.asked_again() == []
        assert ask_again(path, ["record:task.cancel/0/7", "record:none"]) == 1
        assert [each.name for each in await store.asked_again()] == ["task.cancel/0/7"]


async def test_what_is_asked_for_is_handled_once_more_and_kept_if_it_fails_again(tmp_path: Path) -> None:
    done: list[int] = []

    async def record(received: Received) -> None:
        done.append(received.offset)
        assert (received.topic, received.key, received.value) == ("task.cancel", b"k", b"body")

    async def look(task: TaskId) -> None:
        raise RecursionError

    async with SqliteFile(tmp_path / "journal.db", write=True) as file:
        store = SqliteDeadLetters(file)
        letters = DeadLetters(store, CLOCK)
        await letters.put(Kind.RECORD, "task.cancel/0/7", RecursionError(), key=b"k", body=b"body")
        await letters.put(Kind.TASK, "t", RecursionError())
        ask_again(tmp_path / "journal.db", [each.id for each in await store.newest()])
        replays = Replays(store, letters, record=record, document=None, task=look)
        await replays.step()
        await replays.step()
        assert done == [7]
        assert [each.id for each in await store.newest()] == ["task:t"]


async def test_a_service_that_fails_at_one_item_and_answers_others_blames_the_item() -> None:
    answers = True

    async def ask() -> None:
        if not answers:
            raise Unavailable("away")

    suspicion = Suspicion(ask)
    assert not any([await suspicion.confirmed("x", Unavailable("away")) for _ in range(2 * TRIES)])
    assert [await suspicion.confirmed("x", Failing("500")) for _ in range(TRIES)] == [False] * (TRIES - 1) + [
        True
    ]
    answers = False
    assert not any([await suspicion.confirmed("y", Failing("500")) for _ in range(2 * TRIES)])


class Pages:
    """A list of which some entries cannot be shown."""

    def __init__(self, count: int, bad: set[int]) -> None:
        self.count, self.bad = count, bad
        self.requests = 0
        self.works = True

    async def read(self, limit: int, offset: int) -> list[dict[str, int]]:
        self.requests += 1
        places = range(offset, min(offset + limit, self.count))
        if self.bad.intersection(places):
            raise Failing("500")
        return [{"id": place} for place in places]

    async def name(self, place: int) -> str:
        return f"bad-{place}"

    async def ask(self) -> None:
        if not self.works:
            raise Unavailable("away")


@pytest.mark.parametrize("bad", [set(), {0}, {149}, {75}, {0, 1, 2}, {3, 77, 148}])
async def test_entries_that_cannot_be_shown_are_named_and_left_out(bad: set[int]) -> None:
    pages = Pages(150, bad)
    found = await read_around(pages.read, 200, 0, pages.name, pages.ask)
    assert [row["id"] for row in found if not is_stub(row)] == sorted(set(range(150)) - bad)
    assert {row["id"] for row in found if is_stub(row)} == {f"bad-{place}" for place in bad}
    assert pages.requests <= 1 + 18 * len(bad)


async def test_a_server_that_fails_at_everything_is_away() -> None:
    pages = Pages(150, set(range(150)))
    pages.works = False
    with pytest.raises(Unavailable):
        await read_around(pages.read, 200, 0, pages.name, pages.ask)
    assert pages.requests == 1


def test_an_item_s_id_says_what_it_is() -> None:
    assert DeadLetter(Kind.RECORD, "task.cancel/0/7", "why", AT).id == "record:task.cancel/0/7"


@pytest.mark.parametrize("replaceable", [True, False])
async def test_an_item_at_which_a_service_closes_the_connection_is_replaced_where_others_go_through(
    replaceable: bool,
) -> None:
    got: list[str] = []

    async def deliver(items: Sequence[str]) -> None:
        if "c" in items:
            raise Unavailable("connection closed")
        got.extend(items)

    async def put_instead(item: str, error: Exception) -> None:
        if not replaceable:
            raise Unavailable("away")
        got.append("replaced")

    async def feed(after: int, limit: int) -> list[tuple[int, str]]:
        return list(enumerate("abcde", 1))[after:][:limit]

    relay = Relay("mongodb", feed, deliver, Positions(), aside=put_instead, replaces=True)
    for _ in range(4 * TRIES):
        with contextlib.suppress(Unavailable):
            await relay.step()
    assert got == (["a", "b", "replaced", "d", "e"] if replaceable else ["a", "b"])


class OddEngine:
    """Prefect, which fails at one task."""

    def __init__(self, odd: TaskId, error: Exception) -> None:
        self.odd, self.error = odd, error
        self.ended: list[TaskId] = []

    def is_unreadable(self, task: TaskId) -> bool:
        return False

    async def history(self, task: TaskId) -> list[State]:
        if task == self.odd:
            raise self.error
        return history(StateType.SCHEDULED, StateType.RUNNING)


@pytest.mark.parametrize("error", [KeyError("type"), Failing("500"), RecursionError()])
async def test_a_task_whose_history_cannot_be_had_holds_up_no_other(error: Exception) -> None:
    tasks = [replace(task(state(1, StateType.RUNNING)), id=task_id()) for _ in range(5)]
    archive, letters = MemoryArchive(), DeadLetters(None, CLOCK)
    engine: Any = OddEngine(tasks[2].id, error)
    mirror = Mirror(engine, MemoryJournal(), None, archive, CLOCK, dead_letters=letters)
    await mirror.reconcile(tasks, asked=0)
    assert set(await archive.open()) == {each.id for each in tasks} - {tasks[2].id}
    assert letters.counts == {Kind.TASK: 1}


async def test_a_task_that_no_store_takes_holds_up_no_other(tmp_path: Path) -> None:
    tasks = [replace(task(state(1, StateType.RUNNING)), id=task_id()) for _ in range(5)]
    tasks[3] = replace(tasks[3], name="\ud800")
    tasks[4] = replace(tasks[4], revision=2**80)
    letters = DeadLetters(None, CLOCK)
    engine: Any = OddEngine(TaskId(""), KeyError())
    async with SqliteFile(tmp_path / "journal.db", write=True) as file:
        archive = SqliteArchive(file)
        mirror = Mirror(engine, SqliteJournal(file), None, archive, CLOCK, dead_letters=letters)
        for _ in range(2):
            await mirror.reconcile(tasks, asked=0)
        assert set(await archive.open()) == {each.id for each in tasks[:3]}
    assert letters.counts == {Kind.TASK: 2}
