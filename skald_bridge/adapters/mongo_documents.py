"""Task documents that others write into MongoDB."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError

from skald_bridge.adapters.mongo_archive import MongoArchive, storable
from skald_bridge.domain.commands import NewTask
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus
from skald_bridge.ports import Found
from skald_bridge.wire.skalds import new_task_json, to_ms

_CREATED, _ASSIGNING = LifecycleStatus.CREATED.value, LifecycleStatus.ASSIGNING.value
_UNKNOWN_HERE = {"sequence": {"$exists": False}}
_URGENT_FIRST = [("priority", DESCENDING), ("createDateTime", ASCENDING)]
_STATUSES = (_CREATED, _ASSIGNING)
_STREAM_WAIT_MS = 1000


class MongoDocuments:
    """The ``Documents`` port, beside the archive in the same collection."""

    def __init__(self, archive: MongoArchive) -> None:
        self._archive = archive
        self._tasks: AsyncCollection[dict[str, Any]] = archive.collection

    async def created(self, limit: int) -> list[Found]:
        return await self._find({"lifecycleStatus": _CREATED, "mode": "Passive", **_UNKNOWN_HERE}, limit)

    async def again(self, limit: int) -> list[Found]:
        return await self._find({"lifecycleStatus": _CREATED, "ended": {"$type": "string"}}, limit)

    async def assigned(self, executors: Sequence[NodeId], limit: int) -> list[Found]:
        wanted = {"lifecycleStatus": _ASSIGNING, "executor": {"$in": list(executors)}, **_UNKNOWN_HERE}
        return await self._find(wanted, limit)

    async def get(self, task: TaskId) -> Found | None:
        found = await self._find({"id": task}, 1)
        return found[0] if found else None

    async def assign(self, new: NewTask, node: NodeId, now: datetime) -> None:
        told = {"executor": node, "lifecycleStatus": _ASSIGNING, "updateDateTime": to_ms(now)}
        whole = {name: value for name, value in new_task_json(new).items() if name not in told}
        async with self._archive.answering():
            await self._tasks.update_one(
                {"id": new.id}, {"$set": told, "$setOnInsert": storable(whole)}, upsert=True
            )

    async def want(self, task: TaskId, attachments: Mapping[str, Any]) -> None:
        async with self._archive.answering():
            await self._tasks.update_one({"id": task}, {"$set": {"attachments": storable(dict(attachments))}})

    async def refuse(self, ref: Any, reason: str, now: datetime) -> None:
        told = {
            "lifecycleStatus": LifecycleStatus.FAILED.value,
            "exception": reason,
            "updateDateTime": to_ms(now),
        }
        async with self._archive.answering():
            await self._tasks.update_one({"_id": ref, "lifecycleStatus": {"$in": _STATUSES}}, {"$set": told})

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[None]]:
        wanted = [{"$match": {"operationType": {"$in": ["insert", "update", "replace"]}}}]
        async with self._archive.answering():
            stream = await self._tasks.watch(wanted, max_await_time_ms=_STREAM_WAIT_MS)
        try:
            yield self._interesting(stream)
        finally:
            await stream.close()

    async def _interesting(self, stream: Any) -> AsyncIterator[None]:
        try:
            async for change in stream:
                if _interests(change):
                    yield
        except PyMongoError:
            return

    async def _find(self, wanted: Mapping[str, Any], limit: int) -> list[Found]:
        async with self._archive.answering():
            rows = await self._tasks.find(wanted).sort(_URGENT_FIRST).limit(limit).to_list()
        return [Found(row["_id"], {name: row[name] for name in row if name != "_id"}) for row in rows]


def _interests(change: Mapping[str, Any]) -> bool:
    """Not what the archive wrote itself, which is most of it."""
    whole = change.get("fullDocument") if change.get("operationType") != "update" else None
    if whole is not None:
        return whole.get("lifecycleStatus") in _STATUSES and "version" not in whole
    told = (change.get("updateDescription") or {}).get("updatedFields") or {}
    return told.get("lifecycleStatus") in _STATUSES and "version" not in told
