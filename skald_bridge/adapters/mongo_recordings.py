"""Recordings in MongoDB, in a collection of their own beside the tasks'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo import ASCENDING, IndexModel, UpdateOne

from skald_bridge.adapters.mongo_archive import BATCH, MongoArchive, create_indexes, storable
from skald_bridge.domain.recordings import Recording
from skald_bridge.wire.recordings import recording_json

COLLECTION = "recordings"


class MongoRecordings:
    """The ``Recordings`` port; fields that others add to a document stay."""

    def __init__(self, archive: MongoArchive, *, collection: str = COLLECTION) -> None:
        self._archive = archive
        tasks = archive.collection
        self._recordings = tasks.database.get_collection(collection, write_concern=tasks.write_concern)
        self._indexed = False

    async def add(self, recordings: Sequence[Recording]) -> int:
        new = 0
        async with self._archive.answering():
            await self._ensure_indexes()
            for start in range(0, len(recordings), BATCH):
                some = [_upsert(recording) for recording in recordings[start : start + BATCH]]
                new += (await self._recordings.bulk_write(some, ordered=False)).upserted_count
        return new

    async def _ensure_indexes(self) -> None:
        if self._indexed:
            return
        by_task = IndexModel([("taskId", ASCENDING), ("startDateTime", ASCENDING)])
        await create_indexes(self._recordings, [IndexModel([("id", ASCENDING)], unique=True), by_task])
        self._indexed = True


def _upsert(recording: Recording) -> UpdateOne:
    data: dict[str, Any] = storable(recording_json(recording))
    return UpdateOne({"id": data["id"]}, {"$set": data}, upsert=True)
