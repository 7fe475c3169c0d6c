"""The end of a task's log, as Prefect keeps it."""

from __future__ import annotations

from datetime import datetime

from skald_bridge.adapters.prefect_identity import Identity
from skald_bridge.domain.failure import LogLine
from skald_bridge.domain.ids import TaskId
from work_pools.pages import PAGE


class LogTail(Identity):
    """One request."""

    async def log_tail(self, task: TaskId) -> list[LogLine]:
        """The newest lines, as many as one answer holds; oldest first."""
        wanted = {"logs": {"flow_run_id": {"any_": [await self.run_id(task)]}}}
        rows = await self.pages("/logs/filter", {**wanted, "sort": "TIMESTAMP_DESC"}, PAGE)
        return [
            LogLine(datetime.fromisoformat(row["timestamp"]), row["level"], row["name"], row["message"])
            for row in reversed(rows)
        ]
