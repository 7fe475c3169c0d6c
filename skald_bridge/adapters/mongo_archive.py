"""The archive in MongoDB, in the collection and the shape of Skalds."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from bson import CodecOptions, DatetimeConversion
from pydantic import SecretStr
from pymongo import ASCENDING, DESCENDING, AsyncMongoClient, IndexModel, InsertOne, UpdateOne, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    InvalidURI,
    OperationFailure,
    PyMongoError,
)

from skald_bridge.adapters.mongo_errors import (
    DUPLICATE_KEY,
    MOST_SAID,
    OF_THE_DOCUMENT,
    is_of_the_document,
    redacted,
    said,
    unavailable,
)
from skald_bridge.domain.errors import InvalidInput, Unavailable, Undeliverable
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import CLOSED, LifecycleStatus
from skald_bridge.domain.records import TaskDocument
from skald_bridge.domain.task_filter import EVERY, TaskFilter
from skald_bridge.wire.skalds import document_json, document_of

_log = logging.getLogger("skald_bridge.mongodb")
COLLECTION = "tasks"
READABLE = CodecOptions[dict[str, Any]](
    datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
)
"""A date that Python cannot hold is kept as its milliseconds: one such document hides no other."""
BATCH = 500
"""Documents in one round trip: a server that syncs each write must be able to answer in time."""
_CLOSED = sorted(CLOSED)
_OURS = {"sequence": {"$ne": None}}
_NEWEST = [("createDateTime", DESCENDING), ("id", DESCENDING)]
_INDEX_CONFLICTS = (85, 86)
_ANSWER_MS = 10_000
_REVISIONS = 2**31
"""More than a task has: one number orders states, and revisions within a state."""
_KEPT_WHERE_WE_SAY_NOTHING = ("description", "dependencies")

Mongo = AsyncMongoClient[dict[str, Any]]
Write = InsertOne[dict[str, Any]] | UpdateOne


class MongoArchive:
    """The ``Archive`` port.

    A document that another client inserted and that was never put here has no ``sequence``: ``get``, ``read``,
    ``open`` and ``find`` pass it over. The first ``put`` of its task takes it over; fields that are not ours stay.
    ``attachments`` are what the task is to have, and anybody may write them; what it has, ``appliedAttachments``.
    Integers beyond 64 bits come back as text, and NUL in a field's name as ␀: MongoDB holds neither.
    """

    def __init__(self, uri: SecretStr, database: str = "skalds", *, collection: str = COLLECTION) -> None:
        """Connects at first use. Raises ``InvalidInput`` for a URI that cannot be one."""
        self._uri = uri
        self._client: Mongo = _client(uri)
        concern = WriteConcern("majority", j=True)
        self._tasks = self._client.get_database(database).get_collection(
            collection, write_concern=concern, codec_options=READABLE
        )
        self._indexed = False
        self._unique = True
        """Whether the server sees to it that there is one document of an id."""

    @property
    def collection(self) -> AsyncCollection[dict[str, Any]]:
        return self._tasks

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._client.close()

    async def put(self, documents: Sequence[TaskDocument]) -> None:
        """Few round trips a batch, and one more where a document is older than the stored one, or races an insert."""
        pending = newest(documents)
        for start in range(0, len(pending), BATCH):
            await self._put(pending[start : start + BATCH])

    async def _put(self, documents: Sequence[TaskDocument]) -> None:
        async with self.answering():
            await self._ensure_indexes()
            there = await self._there(documents)
            # Each task that is left has a document by now: it is newer, or it is updated.
            first = [_first_write(document, there, unique=self._unique) for document in documents]
            left = await self._write(documents, first)
            refused = await self._write(left, [update_of(document) for document in left]) if left else []
        if refused:
            raise Unavailable(
                f"MongoDB refuses the documents of {len(refused)} tasks as duplicates",
                remedy=f"Remove unique indexes other than the one on id from {self._tasks.full_name}.",
            )

    async def _there(self, documents: Sequence[TaskDocument]) -> dict[TaskId, dict[str, Any] | None]:
        """The attachments of documents there, if the task has them and they shall go on with it.

        What it has not got yet is newer.
        """
        wanted = {"id": {"$in": [document.id for document in documents]}}
        fields = {"_id": 0, "id": 1, "attachments": 1, "appliedAttachments": 1}
        there = await self._tasks.find(wanted, fields).to_list()
        return {
            TaskId(data["id"]): data["attachments"]
            if "appliedAttachments" in data and data.get("attachments") == data["appliedAttachments"]
            else None
            for data in there
        }

    async def _write(
        self, documents: Sequence[TaskDocument], operations: Sequence[Write]
    ) -> list[TaskDocument]:
        """Those that an insert elsewhere, or a newer document, stood in the way of."""
        try:
            await self._tasks.bulk_write(operations, ordered=False)
        except BulkWriteError as error:
            failed = error.details.get("writeErrors", [])
            others = [one for one in failed if one.get("code") != DUPLICATE_KEY]
            if not failed or others or error.details.get("writeConcernErrors"):
                raise
            return [documents[one["index"]] for one in failed]
        return []

    async def get(self, task: TaskId) -> TaskDocument | None:
        return (await self.read([task])).get(task)

    async def read(self, tasks: Sequence[TaskId]) -> dict[TaskId, TaskDocument]:
        found = await self._documents({"id": {"$in": list(tasks)}})
        return {document.id: document for document in found}

    async def open(self) -> list[TaskId]:
        wanted = {"lifecycleStatus": {"$nin": _CLOSED}, **_OURS}
        async with self.answering():
            found = await self._tasks.find(wanted, {"_id": 0, "id": 1}).to_list()
        return [TaskId(document["id"]) for document in found]

    async def find(
        self, wanted: TaskFilter = EVERY, *, limit: int = 100, offset: int = 0
    ) -> list[TaskDocument]:
        if limit <= 0:
            return []  # to MongoDB, a limit of 0 is none
        return await self._documents(_query(wanted), sort=_NEWEST, skip=offset, limit=limit)

    async def count(self, wanted: TaskFilter = EVERY) -> int:
        async with self.answering():
            return await self._tasks.count_documents({**_query(wanted), **_OURS})

    async def statuses(self) -> dict[LifecycleStatus, int]:
        by_status = {"$group": {"_id": "$lifecycleStatus", "count": {"$sum": 1}}}
        async with self.answering():
            cursor = await self._tasks.aggregate([{"$match": _OURS}, by_status])
            found = {group["_id"]: group["count"] for group in await cursor.to_list()}
        return {status: found[status.value] for status in LifecycleStatus if status.value in found}

    async def class_names(self) -> list[str]:
        async with self.answering():
            found = await self._tasks.distinct("className", _OURS)
        return sorted(name for name in found if isinstance(name, str))

    async def _documents(self, wanted: Mapping[str, Any], **options: Any) -> list[TaskDocument]:
        async with self.answering():
            found = await self._tasks.find({**wanted, **_OURS}, {"_id": 0}, **options).to_list()
        return [document for data in found if (document := _document(data)) is not None]

    async def _ensure_indexes(self) -> None:
        if self._indexed:
            return
        try:
            await create_indexes(self._tasks, [IndexModel([("id", ASCENDING)], unique=True)])
        except OperationFailure as error:
            if error.code != DUPLICATE_KEY:
                raise
            self._unique = False
            _log.warning(
                "Some documents in %s have the same id; one of each is written to. Remove the others and start the "
                "bridge anew: %s",
                self._tasks.full_name,
                said(error)[:MOST_SAID],
            )
            await create_indexes(self._tasks, [IndexModel([("id", ASCENDING)], name="id_not_unique")])
        existing = await self._tasks.index_information()
        if self._unique and not any(
            index["key"] == [("id", 1)] and index.get("unique") for index in existing.values()
        ):
            raise Unavailable(
                f"The index on id of {self._tasks.full_name} in MongoDB is not unique",
                remedy="Drop that index; it is made anew.",
            )
        by: list[list[tuple[str, int]]] = [[], [("lifecycleStatus", ASCENDING)], [("className", ASCENDING)]]
        await create_indexes(self._tasks, [IndexModel([*fields, *_NEWEST]) for fields in by])
        self._indexed = True

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """MongoDB's errors in our words."""
        try:
            yield
        except OF_THE_DOCUMENT as error:
            raise Undeliverable(
                f"MongoDB cannot hold it: {type(error).__name__}: {str(error)[:MOST_SAID]}"
            ) from None
        except PyMongoError as error:
            cause = None if isinstance(error, BulkWriteError) else error
            if is_of_the_document(error):
                raise Undeliverable(f"MongoDB refuses it: {redacted(said(error), self._uri)}") from cause
            raise unavailable(error, self._uri) from cause


def newest(documents: Iterable[TaskDocument]) -> list[TaskDocument]:
    """One document a task: of equals the last."""
    found: dict[TaskId, TaskDocument] = {}
    for document in documents:
        old = found.get(document.id)
        if old is None or (document.sequence, document.revision) >= (old.sequence, old.revision):
            found[document.id] = document
    return list(found.values())


def _first_write(
    document: TaskDocument, there: Mapping[TaskId, dict[str, Any] | None], *, unique: bool
) -> Write:
    if document.id not in there:
        # An upsert would do, and costs a server several times as much.
        return InsertOne(_stored(document))
    if not unique:
        return update_of(document)
    return update_of(document, insert=True, follows=there[document.id])


def _stored(document: TaskDocument) -> dict[str, Any]:
    fields: dict[str, Any] = storable(document_json(document))
    return fields | {
        "version": document.sequence * _REVISIONS + document.revision,
        "appliedAttachments": fields["attachments"],
        "appliedRevision": document.revision,
    }


def update_of(
    document: TaskDocument, *, insert: bool = False, follows: Mapping[str, Any] | None = None
) -> UpdateOne:
    """Writes ``document`` unless a newer one is there.

    With ``insert`` the task may have none yet; then a newer one shows as a duplicate key, and so do attachments
    there that are not ``follows`` any more. Where they are, they are written too.
    """
    fields = _stored(document)
    version = fields["version"]
    there: dict[str, Any] = {"id": document.id, "version": {"$not": {"$gt": version}}}
    inserted: dict[str, Any] = {}
    if follows is None:
        inserted["attachments"] = fields.pop("attachments")
    else:
        there["attachments"] = follows
    unsaid = [name for name in _KEPT_WHERE_WE_SAY_NOTHING if fields[name] is None]
    update = {
        "$set": {name: fields[name] for name in fields if name not in unsaid},
        "$setOnInsert": {**inserted, **dict.fromkeys(unsaid)},
    }
    # Not "$or": some servers look through all documents for one. A document without a version is not newer.
    return UpdateOne(there, update, upsert=insert)


def storable(value: Any) -> Any:
    """JSON as BSON can hold it."""
    match value:
        case dict():
            return {name.replace("\0", "␀"): storable(inner) for name, inner in value.items()}
        case list() | tuple():
            return [storable(inner) for inner in value]
        case int() if not -(2**63) <= value < 2**63:
            return str(value)
    return value


def _query(wanted: TaskFilter) -> dict[str, Any]:
    """Parts are escaped: to MongoDB they are patterns, to us they are text."""
    parts = [("id", wanted.id_part), ("className", wanted.class_part)]
    given = {
        "lifecycleStatus": wanted.status.value if wanted.status is not None else None,
        "executor": wanted.executor,
        "$and": [
            {field: {"$regex": re.escape(part.replace("\0", "␀")), "$options": "i"}}
            for field, part in parts
            if part is not None
        ]
        or None,
        "className": wanted.class_name,
    }
    return {field: value for field, value in given.items() if value is not None}


def _document(data: Mapping[str, Any]) -> TaskDocument | None:
    """``None`` for what another client made unreadable."""
    try:
        applied = data.get("appliedAttachments") or data["attachments"] or {}
        return document_of({**data, "attachments": applied})
    except (KeyError, TypeError, ValueError):
        return None


async def create_indexes(collection: AsyncCollection[dict[str, Any]], indexes: list[IndexModel]) -> None:
    """Those that are not there yet, under whatever name."""
    try:
        await collection.create_indexes(indexes)
    except OperationFailure as error:
        if error.code not in _INDEX_CONFLICTS:  # there is one of the same fields under another name
            raise


def _client(uri: SecretStr) -> Mongo:
    try:
        return AsyncMongoClient(
            uri.get_secret_value(),
            connect=False,
            timeoutMS=_ANSWER_MS,
            serverSelectionTimeoutMS=_ANSWER_MS // 2,
        )
    except (InvalidURI, ConfigurationError, ValueError) as error:
        # With credentials in it, what the parser complains about may be a part of them.
        why = "" if "@" in uri.get_secret_value() else f": {error}"
        raise InvalidInput(
            f"MONGO_HOST is not a MongoDB URI{why}",
            remedy="Write it as mongodb://user:password@host:27017, with special characters percent-encoded.",
        ) from None
