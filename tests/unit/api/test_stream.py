"""Events: what a client hears that comes, goes, resumes, and is slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from skald_bridge.api.stream import BATCH, Stream

SO = [("a", '{"so":"a"}'), ("b", '{"so":"b"}')]


def so() -> Iterator[tuple[str, str]]:
    return iter(SO)


def blocks(text: str) -> list[dict[str, str]]:
    """The fields of each event; comments are passed over."""
    found = []
    for block in text.split("\n\n"):
        lines = [line.partition(": ") for line in block.splitlines() if not line.startswith(":")]
        if lines:
            found.append({name: value for name, _, value in lines})
    return found


async def heard(events: AsyncIterator[str], count: int) -> list[dict[str, str]]:
    """The next ``count`` events or more."""
    found: list[dict[str, str]] = []
    async with asyncio.timeout(5):
        while len(found) < count:
            found += blocks(await anext(events))
    return found


async def ids(stream: Stream) -> str:
    """The id that a client has who has heard all."""
    async with aclosing(stream.follow(so)) as events:
        return (await heard(events, 4))[-1]["id"]


async def test_first_what_is_so_then_what_comes() -> None:
    stream = Stream("e1")
    async with aclosing(stream.follow(so)) as events:
        retry, a, b, mark = await heard(events, 4)
        assert int(retry["retry"]) > 0
        assert (a, b) == ({"data": SO[0][1]}, {"data": SO[1][1]})
        assert list(mark) == ["id"]
        stream.publish("a", "1")
        stream.publish("b", "2")
        assert [event["data"] for event in await heard(events, 2)] == ["1", "2"]


async def test_who_comes_back_gets_what_was_missed_and_nothing_twice() -> None:
    stream = Stream("e1")
    last = await ids(stream)
    for number in range(5):
        stream.publish("a", str(number))
    async with aclosing(stream.follow(so, last_id=last)) as events:
        got = (await heard(events, 6))[1:]
        assert [event["data"] for event in got] == ["0", "1", "2", "3", "4"]
    async with aclosing(stream.follow(so, last_id=got[2]["id"])) as events:
        assert [event["data"] for event in (await heard(events, 3))[1:]] == ["3", "4"]


@pytest.mark.parametrize(
    "lost", ["", "e0-3", "e1-99", "e1-", "e1-x", "-", "e1-1", "1", "e1-" + "9" * 30, "e1-²"]
)
async def test_what_cannot_be_resumed_begins_with_what_is_so(lost: str) -> None:
    stream = Stream("e1", ring=3)
    for number in range(6):
        stream.publish("a", str(number))
    async with aclosing(stream.follow(so, last_id=lost)) as events:
        got = await heard(events, 4)
    assert [event.get("data") for event in got[1:]] == [SO[0][1], SO[1][1], None]
    assert got[-1]["id"] == "e1-6"


async def test_the_oldest_in_the_ring_can_be_resumed_from() -> None:
    stream = Stream("e1", ring=3)
    for number in range(6):
        stream.publish("a", str(number))
    async with aclosing(stream.follow(so, last_id="e1-3")) as events:
        assert [event["data"] for event in (await heard(events, 4))[1:]] == ["3", "4", "5"]


async def test_a_slow_client_gets_what_is_so_instead_of_all_it_missed() -> None:
    stream = Stream("e1", ring=10)
    async with aclosing(stream.follow(so)) as events:
        await heard(events, 4)
        for number in range(1000):
            stream.publish("a", str(number))
        got = await heard(events, 3)
        assert [event.get("data") for event in got] == [SO[0][1], SO[1][1], None]
        stream.publish("a", "new")
        assert (await heard(events, 1))[0]["data"] == "new"
    assert len(stream._ring) == 10


async def test_one_subject_only() -> None:
    stream = Stream("e1")
    async with aclosing(stream.follow(so, only="b")) as events:
        assert [event.get("data") for event in (await heard(events, 3))[1:]] == [SO[1][1], None]
        stream.publish("a", "1")
        stream.publish("b", "2")
        assert [event["data"] for event in await heard(events, 1)] == ["2"]


async def test_many_events_arrive_in_order_and_each_once() -> None:
    stream = Stream("e1")
    last = await ids(stream)
    wanted = [str(number) for number in range(5 * BATCH + 7)]
    async with aclosing(stream.follow(so, last_id=last)) as events:
        await heard(events, 1)
        for number in wanted:
            stream.publish("a", number)
        assert [event["data"] for event in await heard(events, len(wanted))] == wanted


async def test_silence_is_broken_by_comments_and_closing_ends_it() -> None:
    stream = Stream("e1")
    async with aclosing(stream.follow(so, keep_alive=0.01)) as events:
        await heard(events, 4)
        assert (await anext(events)).startswith(":")
        stream.close()
        assert [text async for text in events if not text.startswith(":")] == []


async def test_a_new_era_is_not_resumed_into() -> None:
    stream = Stream("e1")
    last = await ids(stream)
    stream.restart("e2")
    async with aclosing(stream.follow(so, last_id=last)) as events:
        assert (await heard(events, 4))[-1]["id"].startswith("e2-")
