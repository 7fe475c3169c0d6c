"""Entries that Prefect has and cannot show: each is found by halving the page that fails, and left out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from skald_bridge.domain.errors import Failing

_MARK = "skald.unreadable"
Read = Callable[[int, int], Awaitable[list[Any]]]
"""Of a limit and an offset."""


def stub(id_: str) -> dict[str, Any]:
    """Stands in a page for an entry that cannot be shown, so that the page keeps its length."""
    return {"id": id_, _MARK: True}


def is_stub(row: Any) -> bool:
    return isinstance(row, dict) and _MARK in row


async def read_around(
    read: Read,
    limit: int,
    offset: int,
    name: Callable[[int], Awaitable[str]],
    works: Callable[[], Awaitable[object]],
) -> list[Any]:
    """A page, with stubs for what cannot be shown.

    Args:
        name: the id of the entry at an offset, as far as it can be had.
        works: asks Prefect something else; raises ``Unavailable`` where the page is not to blame.
    """
    try:
        return await read(limit, offset)
    except Failing:
        await works()
    return await _halved(read, limit, offset, name)


async def _halved(read: Read, limit: int, offset: int, name: Callable[[int], Awaitable[str]]) -> list[Any]:
    if limit == 1:
        return [stub(await name(offset))]
    found: list[Any] = []
    for size in (limit // 2, limit - limit // 2):
        start = offset + len(found)
        try:
            part = await read(size, start)
        except Failing:
            part = await _halved(read, size, start, name)
        found += part
        if len(part) < size:
            break
    return found
