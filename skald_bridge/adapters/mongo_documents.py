"""Task documents that others write into MongoDB."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import blake2b
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.datetime_ms import DatetimeMS
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import ASCENDING, DESCENDING
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DocumentTooLarge, PyMongoError, WriteError

from skald_bridge.adapters.mongo_archive import READABLE, MongoArchive, storable
from skald_bridge.domain.commands import NewTask
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus
from skald_bridge.domain.values import check_text
from skald_bridge.ports import Found
from skald_bridge.wire.skalds import new_task_json, to_ms

_CREATED, _ASSIGNING = LifecycleStatus.CREATED.value, LifecycleStatus.ASSIGNING.value
_UNKNOWN_HERE = {"sequence": {"$exists": False}}
_URGENT_FIRST = [("priority", DESCENDING), ("createDateTime", ASCENDING)]
_STATUSES = (_CREATED, _ASSIGNING)
_STREAM_WAIT_MS = 1000
_MOST_BYTES = 64 * 2**20
"""Of documents held at once; one more than that is begun."""
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_SAID = 200


class MongoDocuments:
    """The ``Documents`` port, beside the archive in the same collection."""

    def __init__(self, archive: MongoArchive) -> None:
        self._archive = archive
        self._tasks: AsyncCollection[dict[str, Any]] = archive.collection
        self._raw: AsyncCollection[RawBSONDocument] = archive.collection.with_options(codec_options=_RAW)

    async def created(self, limit: int) -> list[Found]:
        return await self._find({"lifecycleStatus": _CREATED, "mode": "Passive", **_UNKNOWN_HERE}, limit)

    async def again(self, limit: int) -> list[Found]:
        return await self._find({"lifecycleStatus": _CREATED, "ended": {"$type": "string"}}, limit)

    async def assigned(self, executors: Sequence[NodeId], limit: int) -> list[Found]:
        wanted = {"lifecycleStatus": _ASSIGNING, "executor": {"$in": list(executors)}, **_UNKNOWN_HERE}
        return await self._find(wanted, limit)

    async def get(self, task: TaskId) -> Found | None:
        """Raises ``InvalidInput`` for what can be no id at all."""
        check_text(task, "id")
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
        wanted = {"_id": {"$eq": ref}, "lifecycleStatus": {"$in": _STATUSES}}
        async with self._archive.answering():
            try:
                await self._tasks.update_one(wanted, {"$set": told})
            except (WriteError, DocumentTooLarge, BSONError) as error:
                await self._refuse_shortly(wanted, error)

    async def _refuse_shortly(self, wanted: Mapping[str, Any], error: Exception) -> None:
        """Where the reason finds no room; ``Failed`` needs less than what stands there."""
        try:
            await self._tasks.update_one(wanted, {"$set": {"lifecycleStatus": LifecycleStatus.FAILED.value}})
        except (WriteError, DocumentTooLarge, BSONError):
            raise InvalidInput(f"MongoDB does not take that it is Failed: {error!s:.{_SAID}}") from error

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
        except (PyMongoError, BSONError):
            return

    async def _find(self, wanted: Mapping[str, Any], limit: int) -> list[Found]:
        found: list[Found] = []
        left = _MOST_BYTES
        async with self._archive.answering():
            async for row in self._raw.find(wanted).sort(_URGENT_FIRST).limit(limit):
                found.append(found_of(bytes(row.raw)))
                left -= len(row.raw)
                if left < 0:
                    break
        return found


def found_of(raw: bytes) -> Found:
    """Each is decoded by itself: what one of them holds is no other's trouble."""
    problem = None
    try:
        row: dict[str, Any] = bson.decode(raw)
    except (BSONError, ValueError, OverflowError, RecursionError) as error:
        problem = f"it cannot be read: {error!s:.{_SAID}}"
        row = _what_can_be_read(raw)
        if (field := _odd_field(row)) is not None:
            problem = field
    digest = blake2b(raw, digest_size=16).hexdigest()
    return Found(row.pop("_id", None), row, digest, problem)


def _what_can_be_read(raw: bytes) -> dict[str, Any]:
    try:
        return bson.decode(raw, READABLE)
    except (BSONError, ValueError, OverflowError, RecursionError):
        return {}


def _odd_field(row: Mapping[str, Any]) -> str | None:
    """What is wrong with the field that is in the way, which is named."""
    garbled = None
    left: list[tuple[Any, str]] = [(value, name) for name, value in row.items()]
    while left:
        value, path = left.pop()
        if isinstance(value, DatetimeMS):
            return f"{path}: no year has the date {int(value)} (milliseconds since 1970)"
        if "\ufffd" in path or (isinstance(value, str) and "\ufffd" in value):
            garbled = f"{path}: it is not UTF-8"
        if isinstance(value, dict):
            left += [(inner, f"{path}.{name}"[:_SAID]) for name, inner in value.items()]
        elif isinstance(value, list):
            left += [(inner, f"{path}[{index}]"[:_SAID]) for index, inner in enumerate(value)]
    return garbled


def _interests(change: Mapping[str, Any]) -> bool:
    """Not what the archive wrote itself, which is most of it."""
    whole = change.get("fullDocument") if change.get("operationType") != "update" else None
    if whole is not None:
        return whole.get("lifecycleStatus") in _STATUSES and "version" not in whole
    told = (change.get("updateDescription") or {}).get("updatedFields") or {}
    return told.get("lifecycleStatus") in _STATUSES and "version" not in told
