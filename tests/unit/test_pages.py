from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_work_pools.pages import PAGE, batches, pages, read_all, read_all_moving


class List:
    """A list that changes between two reads; ``reads`` are the offsets asked for."""

    def __init__(self, size: int, change: Callable[[list[int]], None] = lambda _: None) -> None:
        self.entries = list(range(size))
        self._change = change
        self.reads: list[int] = []

    async def read(self, limit: int, offset: int) -> list[int]:
        assert limit <= PAGE
        if self.reads:
            self._change(self.entries)
        self.reads.append(offset)
        return self.entries[offset : offset + limit]


def itself(entry: int) -> int:
    return entry


@pytest.mark.parametrize("size", [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 1000])
async def test_every_entry_is_read_once(size: int) -> None:
    found = List(size)
    assert await read_all(found.read, itself) == list(range(size))
    assert len(found.reads) <= size // (PAGE - 1) + 1


async def test_one_short_answer_is_one_request() -> None:
    for read in (read_all, read_all_moving):
        found = List(PAGE - 1)
        await read(found.read, itself)
        assert found.reads == [0]


@given(st.integers(0, 900), st.integers(0, 300))
async def test_entries_that_leave_hide_none_that_stay(size: int, leaving: int) -> None:
    """The first ones leave, and all others move up by as many places."""
    found = List(size, lambda entries: entries.__delitem__(slice(0, leaving)))
    read = await read_all(found.read, itself)
    assert set(found.entries) <= set(read) and len(read) == len(set(read))


async def test_new_entries_in_front_make_none_come_twice() -> None:
    found = List(500, lambda entries: entries.insert(0, -1 - len(entries)))
    read = await read_all(found.read, itself)
    assert set(range(500)) <= set(read) and len(read) == len(set(read))


async def test_an_entry_that_moves_to_the_front_meanwhile_is_not_missed() -> None:
    def beat(entries: list[int]) -> None:
        entries.insert(0, entries.pop())

    found = List(500, beat)
    assert set(await read_all_moving(found.read, itself)) == set(range(500))


async def test_pages_come_as_they_are_read() -> None:
    found = List(500)
    async for page in pages(found.read, itself):
        assert page[-1] < PAGE
        break
    assert found.reads == [0]


def test_ids_are_asked_for_in_batches() -> None:
    assert list(batches([])) == []
    assert [len(batch) for batch in batches(range(450))] == [200, 200, 50]
