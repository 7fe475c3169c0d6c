"""Documents that Python cannot read: each is found by itself, named, and refused; the others are read as ever."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from skald_bridge.adapters.mongo_archive import MongoArchive
from skald_bridge.adapters.mongo_documents import MongoDocuments, found_of
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.ids import TaskId
from tests.services.mongo import Mongo

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def made(id_: str, **fields: Any) -> dict[str, Any]:
    return {"id": id_, "className": "Probe", "mode": "Passive", "lifecycleStatus": "Created", **fields}


def garbled(document: dict[str, Any]) -> RawBSONDocument:
    """Its ``@@`` is no UTF-8."""
    return RawBSONDocument(bson.encode(document).replace(b"@@\x00", b"\xff\xfe\x00"))


UNREADABLE: dict[str, tuple[Any, str]] = {
    "date": (made("bad", when=DatetimeMS(2**53)), "when: "),
    "date before": (made("bad", attachments={"a": [{"at": DatetimeMS(-(2**62))}]}), "attachments.a[0].at: "),
    "text": (garbled(made("bad", note="@@")), "note: "),
    "key": (garbled(made("bad", attachments={"@@": 1})), "attachments.\ufffd\ufffd: "),
}
DATES = {name: UNREADABLE[name] for name in ("date", "date before")}
"""A real server may mend text by itself."""


@pytest.mark.parametrize(("bad", "field"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_in_the_way_is_named(bad: Any, field: str) -> None:
    raw = bad.raw if isinstance(bad, RawBSONDocument) else bson.encode(bad)
    found = found_of(bytes(raw))
    assert found.problem is not None and found.problem.startswith(field)
    assert found.data["id"] == "bad" and found.digest
    assert found_of(bson.encode(made("good"))).problem is None


@pytest.mark.parametrize("raw", [b"", b"\x05\x00\x00\x00", b"\xff" * 40, bson.encode(made("x"))[:-5]])
def test_what_is_no_bson_is_refused_alone(raw: bytes) -> None:
    found = found_of(raw)
    assert found.problem or found.data == {}


@pytest.fixture
async def archive(any_mongo: Mongo) -> AsyncIterator[MongoArchive]:
    async with MongoArchive(SecretStr(any_mongo.uri), f"d{random.getrandbits(64):x}") as archive:
        yield archive


@pytest.mark.parametrize(("bad", "field"), DATES.values(), ids=DATES.keys())
async def test_it_is_named_and_refused_and_the_others_are_read(
    any_mongo: Mongo, archive: MongoArchive, bad: Any, field: str
) -> None:
    documents = MongoDocuments(archive)
    with MongoClient[Any](any_mongo.uri) as client:
        plain = client[archive.collection.database.name]["tasks"]
        plain.insert_one(made("good", attachments={"a": 1}))
        try:
            plain.insert_one(bad)
        except OperationFailure as error:
            pytest.skip(f"this server holds no such document: {str(error)[:80]}")
        found = {each.data["id"]: each for each in await documents.created(10)}
        assert found.keys() == {"good", "bad"}
        assert found["good"].problem is None
        assert found["good"].data["attachments"] == {"a": 1}
        problem = found["bad"].problem
        assert problem is not None and problem.startswith(field), problem
        assert await documents.get(TaskId("bad")) == found["bad"]
        await documents.refuse(found["bad"].ref, problem, NOW)
        assert [each.data["id"] for each in await documents.created(10)] == ["good"]
        told = plain.find_one({"id": "bad"}, {"_id": 0, "lifecycleStatus": 1, "exception": 1})
        assert told == {"lifecycleStatus": "Failed", "exception": problem}


async def test_every_change_has_a_digest_of_its_own(any_mongo: Mongo, archive: MongoArchive) -> None:
    documents, seen = MongoDocuments(archive), set()
    with MongoClient[Any](any_mongo.uri) as client:
        plain = client[archive.collection.database.name]["tasks"]
        for number in range(3):
            plain.replace_one({"id": "t"}, made("t", attachments={"n": number}), upsert=True)
            for _ in range(2):
                found = await documents.get(TaskId("t"))
                assert found is not None and found.data["attachments"] == {"n": number}
                seen.add(found.digest)
    assert len(seen) == 3


async def test_a_document_without_room_for_the_reason_is_failed_all_the_same(
    any_mongo: Mongo, archive: MongoArchive
) -> None:
    """What a client inserts has 16 MiB at most, and the reason comes on top."""
    documents = MongoDocuments(archive)
    with MongoClient[Any](any_mongo.uri) as client:
        plain = client[archive.collection.database.name]["tasks"]
        empty = {"_id": 1, **made("t", fill="")}
        plain.insert_one({**empty, "fill": "x" * (16 * 2**20 - len(bson.encode(empty)))})
        (found,) = await documents.created(10)
        await documents.refuse(found.ref, "because " * 100, NOW)
        assert plain.count_documents({"_id": 1, "lifecycleStatus": "Failed"}) == 1
        assert await documents.created(10) == []


async def test_what_can_be_no_id_is_refused_and_not_asked_for(archive: MongoArchive) -> None:
    for id_ in ("a\ud800", "a\0"):
        with pytest.raises(InvalidInput):
            await MongoDocuments(archive).get(TaskId(id_))
