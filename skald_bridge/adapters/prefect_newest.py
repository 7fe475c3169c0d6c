"""The tasks created last, from a server that does not sort by creation.

Prefect sorts by when a run was to start, and by when it did; it was created no later than that. Those that were to
start at once, nearly all, stand in the first order as they were created. Those that were put off are few, and are
read in the second, where they stand among the future ones until they start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from skald_work_pools.pages import PAGE

SKEW = timedelta(seconds=5)
"""So much later than its expected start a task may be created: that start is told by the client's clock."""
_MORE = 10
"""Beyond what is asked for, so that one request is enough where little happens."""
Row = Mapping[str, Any]
Read = Callable[[Mapping[str, Any], str, int, int], Awaitable[Sequence[Row]]]
"""Of a filter of flow runs, a sort, a limit and an offset: flow runs as Prefect's JSON."""


async def newest(read: Read, limit: int, now: datetime) -> list[Row]:
    """The ``limit`` runs that were created last, newest first; reads no further than needed to be sure of them.

    One that was to start before it was created counts by that time where it lies far back.
    """

    async def in_order(sort: str, where: str, latest: Callable[[Row], str | None]) -> list[Row]:
        wanted = {"expected_start_time": {where: now.isoformat()}}
        return await _first(lambda size, offset: read(wanted, sort, size, offset), limit, latest)

    due, later = await asyncio.gather(
        in_order("EXPECTED_START_TIME_DESC", "before_", lambda row: row.get("expected_start_time")),
        in_order(
            "START_TIME_DESC", "after_", lambda row: row.get("start_time") or row.get("expected_start_time")
        ),
    )
    return sorted({row["id"]: row for row in (*due, *later)}.values(), key=_created, reverse=True)[:limit]


async def _first(
    read: Callable[[int, int], Awaitable[Sequence[Row]]], limit: int, latest: Callable[[Row], str | None]
) -> list[Row]:
    """``latest``: by what the entries are sorted, and when the entry was created at the latest."""
    found: dict[str, Row] = {}
    offset = 0
    while True:
        size = min(PAGE, limit + _MORE - offset) if offset < limit else PAGE
        page = await read(size, offset)
        offset += len(page)
        found.update({row["id"]: row for row in page if "created" in row})
        if len(page) < size or _certain(list(found.values()), latest(page[-1]), limit):
            return list(found.values())


def _certain(found: Sequence[Row], latest: str | None, limit: int) -> bool:
    """Whether nothing further down can be newer than the ``limit`` newest of those found."""
    if len(found) < limit or latest is None:
        return False
    oldest = sorted((moment for moment, _ in map(_created, found)), reverse=True)[limit - 1]
    return oldest >= datetime.fromisoformat(latest) + SKEW


def _created(row: Row) -> tuple[datetime, str]:
    return datetime.fromisoformat(row["created"]), row["id"]
