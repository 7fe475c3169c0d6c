"""What tasks and their nodes said, read from Prefect's logs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from skald_bridge.adapters.prefect_api import PrefectApi
from skald_bridge.adapters.prefect_identity import RunIds
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.log_entries import LogEntry
from skald_work_pools.pages import pages

_ROUTE = "/logs/filter"


class LogReader:
    """Log records by task."""

    def __init__(self, api: PrefectApi, runs: RunIds) -> None:
        self._api = api
        self._runs = runs

    async def logs(self, task: TaskId, *, since: datetime | None = None) -> AsyncIterator[list[LogEntry]]:
        """Oldest first, in pages; those at or after ``since``."""
        wanted: dict[str, Any] = {"flow_run_id": {"any_": [await self._runs.run_id(task)]}}
        if since is not None:
            wanted["timestamp"] = {"after_": since.isoformat()}

        async def read(limit: int, offset: int) -> list[Mapping[str, Any]]:
            return await self._api.page(_ROUTE, {"logs": wanted, "sort": "TIMESTAMP_ASC"}, limit, offset)

        async for rows in pages(read):
            yield _lines(rows)

    async def last_logs(self, task: TaskId, count: int) -> list[LogEntry]:
        """The last ones, oldest first."""
        wanted = {"flow_run_id": {"any_": [await self._runs.run_id(task)]}}
        rows = await self._api.pages(_ROUTE, {"logs": wanted, "sort": "TIMESTAMP_DESC"}, count)
        return _lines(rows)


def _lines(rows: list[Mapping[str, Any]]) -> list[LogEntry]:
    """Prefect orders by time alone; ids of one batch grow as its records came."""
    found = [
        LogEntry(
            row["id"],
            datetime.fromisoformat(row["timestamp"]),
            int(row["level"]),
            row["name"],
            row["message"],
            row.get("task_run_id"),
        )
        for row in rows
    ]
    return sorted(found, key=lambda line: (line.at, line.id))
