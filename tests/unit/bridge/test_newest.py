"""The newest tasks of a server that sorts by expected or actual start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skald_bridge.adapters.prefect_newest import newest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def row(number: int, created: float, put_off: float = 0.0, started: float | None = None) -> dict[str, Any]:
    """Minutes from now; ``put_off`` after its creation, ``started`` after that."""
    at = NOW + created * MINUTE
    expected = at + put_off * MINUTE
    began = None if started is None else (expected + started * MINUTE).isoformat()
    return {
        "id": f"{number * 7919 % 10007:08}",
        "created": at.isoformat(),
        "expected_start_time": expected.isoformat(),
        "start_time": began,
    }


class Server:
    """Prefect's filter and orders."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows = rows
        self.asked: list[tuple[str, int, int]] = []

    async def read(self, wanted: Mapping[str, Any], sort: str, limit: int, offset: int) -> Sequence[Any]:
        self.asked.append((sort, limit, offset))
        expected = wanted["expected_start_time"]
        rows = [
            each
            for each in self.rows
            if each["expected_start_time"] <= expected.get("before_", "9")
            and each["expected_start_time"] >= expected.get("after_", "0")
        ]
        by_start = sort == "START_TIME_DESC"
        rows.sort(
            key=lambda each: (by_start and each["start_time"]) or each["expected_start_time"], reverse=True
        )
        return rows[offset : offset + limit]


def newest_first(rows: Sequence[Mapping[str, Any]], limit: int) -> list[str]:
    return [each["id"] for each in sorted(rows, key=lambda r: (r["created"], r["id"]), reverse=True)][:limit]


async def asked(server: Server, limit: int) -> list[str]:
    return [each["id"] for each in await newest(server.read, limit, NOW)]


async def test_with_more_tasks_than_the_limit_the_newest_are_there() -> None:
    rows = [row(number, -number) for number in range(500)]
    server = Server(rows)
    assert await asked(server, 20) == newest_first(rows, 20)
    assert sorted(server.asked) == [("EXPECTED_START_TIME_DESC", 30, 0), ("START_TIME_DESC", 30, 0)]


async def test_those_that_are_to_start_later_stand_where_they_were_created() -> None:
    scheduled = [row(number, -300 - number, put_off=600 + number) for number in range(250)]
    held = [row(1000 + number, -2 * number, put_off=1e6, started=-1e6) for number in range(250)]
    rows = [*scheduled, *held, *(row(2000 + number, -number - 0.5) for number in range(250))]
    assert await asked(Server(rows), 30) == newest_first(rows, 30)


async def test_more_than_a_page_and_fewer_than_the_limit() -> None:
    rows = [row(number, -number / 100) for number in range(450)]
    assert await asked(Server(rows), 203) == newest_first(rows, 203)
    assert await asked(Server(rows), 1000) == newest_first(rows, 1000)
    assert await asked(Server([]), 20) == []


MINUTES = st.floats(0, 2000, allow_nan=False)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(MINUTES, st.just(0.0) | MINUTES, st.none() | MINUTES), max_size=60),
    st.integers(1, 40),
)
async def test_any_tasks(given: list[tuple[float, float, float | None]], limit: int) -> None:
    rows = [row(number, -created, put_off, began) for number, (created, put_off, began) in enumerate(given)]
    assert await asked(Server(rows), limit) == newest_first(rows, limit)
