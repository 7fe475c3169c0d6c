"""What tasks left behind in Prefect: their artifacts, and the recordings among them."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from skald_bridge.adapters.prefect_api import PrefectApi
from skald_bridge.adapters.prefect_identity import RunIds
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.recordings import Artifact, Recording
from skald_bridge.domain.values import read_json
from skald_work_pools.messages import RECORDING

SOME = 20
"""Artifacts of all kinds in one reply: some hold pictures."""
MANY = 200
"""Recordings in one reply."""
_NAMESPACE = UUID("d1f6f8a0-53c2-4f0e-9a61-2c1b7c7f4e90")
_log = logging.getLogger("skald_bridge.artifacts")


class ArtifactReader:
    """Artifacts by task, newest first."""

    def __init__(self, api: PrefectApi, runs: RunIds) -> None:
        self._api = api
        self._runs = runs

    async def artifacts(self, tasks: Sequence[TaskId]) -> AsyncIterator[list[Artifact]]:
        """One small request where there are few."""
        runs = await self._runs.run_ids(tasks)
        few = await self._page(runs, {}, SOME, 0) if runs else []
        yield few
        if len(few) == SOME:
            for kinds, size in (({"any_": [RECORDING]}, MANY), ({"not_any_": [RECORDING]}, SOME)):
                async for page in self._found(runs, kinds, size):
                    yield page

    async def recordings(self, tasks: Sequence[TaskId]) -> AsyncIterator[list[Recording]]:
        async for page in self._found(await self._runs.run_ids(tasks), {"any_": [RECORDING]}, MANY):
            yield [artifact.recording for artifact in page if artifact.recording is not None]

    async def _found(
        self, runs: Mapping[str, TaskId], kinds: Mapping[str, Any], size: int
    ) -> AsyncIterator[list[Artifact]]:
        """The first page is small. Those made meanwhile push the others on: some come twice."""
        offset, wanted = 0, SOME if runs else 0
        while wanted:
            page = await self._page(runs, {"type": kinds}, wanted, offset)
            wanted = size if len(page) == wanted else 0
            offset += len(page)
            yield page

    async def _page(
        self, runs: Mapping[str, TaskId], kinds: Mapping[str, Any], size: int, offset: int
    ) -> list[Artifact]:
        wanted = {"flow_run_id": {"any_": list(runs)}, **kinds}
        body = {"artifacts": wanted, "sort": "CREATED_DESC", "limit": size, "offset": offset}
        rows = await self._api.call("POST", "/artifacts/filter", body)
        return [artifact_of(row, runs[row["flow_run_id"]]) for row in rows]


def artifact_of(row: Mapping[str, Any], task: TaskId) -> Artifact:
    kind = row.get("type") or ""
    recording = None
    if kind == RECORDING:
        try:
            recording = recording_of(row.get("data"), task, row["flow_run_id"])
        except (InvalidInput, AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            _log.warning("artifact %s of task %s tells of no recording: %r", row.get("id"), task, error)
    return Artifact(task, kind, row.get("key"), row.get("description") or "", recording)


def recording_of(data: Any, task: TaskId, run: str) -> Recording:
    """An artifact written twice is one recording.

    Raises ``InvalidInput``, ``KeyError``, ``TypeError``, ``ValueError``, ``OverflowError`` for what no store could
    hold.
    """
    told = read_json(data) if isinstance(data, str) else data
    path, codec, size = str(told["path"]), str(told.get("codec") or ""), int(told.get("size") or 0)
    start, seconds = _utc(told["start"]), float(told["seconds"])
    if not (math.isfinite(seconds) and seconds >= 0 and start + timedelta(seconds=seconds)):
        raise ValueError(f"seconds: {seconds}")
    if not 0 <= size < 2**63:
        raise ValueError(f"size: {size}")
    (path + codec).encode()
    id_ = str(uuid5(_NAMESPACE, f"{run} {path} {start.isoformat()}"))
    return Recording(id_, task, path, start, seconds, codec, size)


def _utc(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
