"""Task documents as any MongoDB client sees them, and what happens to those that others wrote."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from skald_bridge.adapters.clock import SystemClock
from skald_bridge.adapters.mongo_archive import BATCH, MongoArchive
from skald_bridge.adapters.mongo_errors import redacted
from skald_bridge.adapters.sqlite import SqlitePositions
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.domain.commands import Controller
from skald_bridge.domain.dead_letters import Kind
from skald_bridge.domain.errors import InvalidInput, Unavailable
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus
from skald_bridge.domain.records import TaskDocument
from skald_bridge.domain.task_filter import TaskFilter
from skald_bridge.services.dead_letters import TRIES, DeadLetters
from skald_bridge.services.relays import to_mongo
from tests.contract.records import AT, document, task_id
from tests.services.mongo import Mongo

MS = 1767268800123


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    return f"d{random.getrandbits(64):x}"


@pytest.fixture
async def archive(any_mongo: Mongo, database: str) -> AsyncIterator[MongoArchive]:
    async with MongoArchive(SecretStr(any_mongo.uri), database) as archive:
        yield archive


@pytest.fixture
def plain(any_mongo: Mongo, database: str) -> Iterator[Collection[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](any_mongo.uri) as client:
        yield client[database]["tasks"]


def foreign(task: TaskId, **fields: object) -> dict[str, object]:
    """What a Skalds client inserts."""
    return {
        "id": task,
        "className": "Probe",
        "source": "MongoDB",
        "name": None,
        "description": "count the bikes",
        "executor": None,
        "dependencies": ["another"],
        "mode": "Passive",
        "isPersistent": False,
        "createDateTime": MS,
        "updateDateTime": MS,
        "deadlineDateTime": MS,
        "lifecycleStatus": "Created",
        "priority": 3,
        "attachments": {"inputUrl": "bikes.mp4"},
        **fields,
    }


async def test_the_contract_s_fields(archive: MongoArchive, plain: Collection[dict[str, Any]]) -> None:
    task = task_id()
    await archive.put([document(task, deadline=AT + timedelta(days=7))])
    found = plain.find_one({"id": task}, {"_id": 0})
    assert found is not None
    skalds = {name: found[name] for name in foreign(task)}
    assert skalds == {
        "id": task,
        "className": "Probe",
        "source": "Prefect",
        "name": "happy-otter",
        "description": None,
        "executor": "n1",
        "dependencies": None,
        "mode": "Passive",
        "isPersistent": False,
        "createDateTime": MS,
        "updateDateTime": MS + 1000,
        "deadlineDateTime": MS + 7 * 86400_000,
        "lifecycleStatus": "Running",
        "priority": 3,
        "attachments": {"inputUrl": "bikes.mp4", "nested": {"größe": [1, 2.5, None, True]}},
    }
    times = [found[name] for name in skalds if name.endswith("DateTime")]
    assert all(isinstance(at, int) for at in times)
    with pytest.raises(DuplicateKeyError):
        plain.insert_one(foreign(task))


async def test_a_foreign_document_is_taken_over(
    archive: MongoArchive, plain: Collection[dict[str, Any]]
) -> None:
    task = task_id()
    plain.insert_one(foreign(task, subTasks=[{"title": "cut"}]))
    before = plain.find_one({"id": task})
    assert before is not None
    assert await archive.get(task) is None
    assert await archive.read([task]) == {}
    assert await archive.open() == []
    assert await archive.find(TaskFilter(LifecycleStatus.CREATED)) == []
    ours = document(task, 2)
    await archive.put([ours])
    assert await archive.get(task) == ours
    after = plain.find_one({"id": task})
    assert after is not None
    assert after["_id"] == before["_id"]
    assert after["subTasks"] == [{"title": "cut"}]
    assert after["description"] == "count the bikes"
    assert after["dependencies"] == ["another"]
    assert after["lifecycleStatus"] == "Running"
    await archive.put([document(task, 1)])
    assert await archive.get(task) == ours


async def test_what_a_skalds_controller_changes_is_read(
    archive: MongoArchive, plain: Collection[dict[str, Any]]
) -> None:
    task, other = task_id(), task_id()
    await archive.put([document(task), document(other)])
    plain.update_one({"id": task}, {"$set": {"lifecycleStatus": "Cancelled", "attachments": None}})
    plain.update_one({"id": other}, {"$set": {"lifecycleStatus": "Nonsense"}})
    found = await archive.get(task)
    assert found is not None
    assert (found.lifecycle, found.attachments) == ("Cancelled", document(task).attachments)
    assert await archive.get(other) is None
    assert [document.id for document in await archive.find()] == [task]


async def test_new_attachments_are_handed_on_unless_newer_ones_are_wanted_there(
    archive: MongoArchive, plain: Collection[dict[str, Any]]
) -> None:
    task, other = task_id(), task_id()
    await archive.put([document(task), document(other)])
    plain.update_one({"id": other}, {"$set": {"attachments": {"inputUrl": "wanted.mp4"}}})
    revised = {"revision": 2, "attachments": {"inputUrl": "second.mp4"}}
    for _ in range(2):
        await archive.put([replace(document(task), **revised), replace(document(other), **revised)])
    for each, wanted in ((task, "second.mp4"), (other, "wanted.mp4")):
        found = plain.find_one({"id": each}) or {}
        assert found["attachments"] == {"inputUrl": wanted}
        assert (found["appliedAttachments"], found["appliedRevision"]) == ({"inputUrl": "second.mp4"}, 2)


async def test_attachments_are_handed_on_whatever_their_revision(
    archive: MongoArchive, plain: Collection[dict[str, Any]]
) -> None:
    """Prefect has new ones a moment before it has their number."""
    task = task_id()
    for revision, name in ((1, "first"), (1, "second"), (2, "second"), (2, "third"), (3, "fourth")):
        attachments = {"inputUrl": f"{name}.mp4"}
        await archive.put([replace(document(task), revision=revision, attachments=attachments)])
        found = plain.find_one({"id": task}) or {}
        assert (found["attachments"], found["appliedAttachments"]) == (attachments, attachments)
    await archive.put([replace(document(task), revision=2, attachments={"inputUrl": "third.mp4"})])
    found = plain.find_one({"id": task}) or {}
    assert found["attachments"] == {"inputUrl": "fourth.mp4"}


async def test_20_writers_end_at_the_newest(any_mongo: Mongo, database: str) -> None:
    tasks = [task_id() for _ in range(10)]
    versions = [
        replace(document(task, sequence), revision=revision)
        for task in tasks
        for sequence in range(1, 11)
        for revision in (1, 2)
    ]

    async def write(number: int) -> None:
        mine = random.Random(number).sample(versions, len(versions))
        async with MongoArchive(SecretStr(any_mongo.uri), database) as archive:
            for start in range(0, len(mine), 40):
                await archive.put(mine[start : start + 40])

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(write(number))
    async with MongoArchive(SecretStr(any_mongo.uri), database) as archive:
        found = await archive.read(tasks)
        assert len(await archive.find(limit=1000)) == len(tasks)
    newest = {version.id: version for version in versions if (version.sequence, version.revision) == (10, 2)}
    assert found == newest


async def test_a_batch_is_one_round_trip(archive: MongoArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    await archive.put([document(task_id())])
    calls: list[int] = []
    bulk_write = AsyncCollection.bulk_write

    async def counted(self: Any, operations: Any, *args: Any, **options: Any) -> Any:
        calls.append(len(operations))
        return await bulk_write(self, operations, *args, **options)

    monkeypatch.setattr(AsyncCollection, "bulk_write", counted)
    written = [document(task_id()) for _ in range(BATCH)]
    await archive.put(written)
    assert calls == [BATCH]
    newer = [replace(one, sequence=2) for one in written]
    await archive.put([*newer, *written, document(task_id())])
    assert calls == [BATCH, BATCH, 1]
    assert await archive.read([one.id for one in written]) == {one.id: one for one in newer}


async def test_writes_are_for_the_majority_and_the_indexes_serve_find(
    archive: MongoArchive, plain: Collection[dict[str, Any]]
) -> None:
    await archive.put([document(task_id())])
    assert archive._tasks.write_concern.document == {"w": "majority", "j": True}
    indexes = {tuple(field for field, _ in index["key"]) for index in plain.index_information().values()}
    newest = ("createDateTime", "id")
    assert {("id",), newest, ("lifecycleStatus", *newest), ("className", *newest)} <= indexes
    assert plain.index_information()["id_1"]["unique"]


async def test_what_json_holds_and_bson_does_not(archive: MongoArchive) -> None:
    task = task_id()
    odd = {"big": 2**63, "least": -(2**63), "a.b": 1, "$set": {"$x": [2**70]}, "n\0l": 1}
    await archive.put([document(task, attachments=odd)])
    found = await archive.get(task)
    assert found is not None
    assert found.attachments == {
        "big": str(2**63),
        "least": -(2**63),
        "a.b": 1,
        "$set": {"$x": [str(2**70)]},
        "n␀l": 1,
    }


async def test_an_index_that_lets_duplicates_in_is_named(
    archive: MongoArchive, plain: Collection[dict[str, Any]]
) -> None:
    plain.create_index("id")
    with pytest.raises(Unavailable) as caught:
        await archive.put([document(task_id())])
    assert "not unique" in caught.value.message and caught.value.remedy


async def test_a_server_that_is_away_and_back(own_mongo: Mongo) -> None:
    task = task_id()
    async with MongoArchive(SecretStr(own_mongo.uri)) as archive:
        await archive.put([document(task, 1)])
        own_mongo.kill()
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            await archive.put([document(task, 2)])
        assert time.monotonic() - began < 15
        assert str(own_mongo.port) in caught.value.message and "MONGO_HOST" in str(caught.value.remedy)
        own_mongo.start()
        await archive.put([document(task, 2)])
        found = await archive.get(task)
        assert found is not None and found.sequence == 2


@pytest.mark.parametrize(
    "uri", ["", "https://h", "mongodb://u:hunt/er2@h", "mongodb://u:hunter2@h:port", "mongodb://@"]
)
def test_what_is_no_uri_is_said_without_its_password(uri: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        MongoArchive(SecretStr(uri))
    assert "hunt" not in str(caught.value) and caught.value.remedy
    assert caught.value.__cause__ is None


def test_credentials_are_redacted() -> None:
    uri = SecretStr("mongodb://skald:hunter2@db1:27017,db2:27017/?tls=true")
    assert redacted("auth of skald:hunter2 or hunter2 failed", uri) == "auth of *** or *** failed"
    assert redacted("h:1 refused", SecretStr("mongodb://h:1")) == "h:1 refused"


@pytest.mark.parametrize(
    "attachments",
    [{"big": "x" * 9_000_000}, {"text": "\ud800"}],
    ids=["9-mb", "surrogate"],
)
async def test_what_mongodb_does_not_take_stops_no_other_and_its_status_is_written(
    archive: MongoArchive, plain: Collection[dict[str, Any]], tmp_path: Path, attachments: dict[str, Any]
) -> None:
    documents = [document(task_id()) for _ in range(5)]
    documents[2] = replace(documents[2], attachments=attachments)
    aside = DeadLetters(None, SystemClock())
    feed = Changed(documents)
    async with SqliteFile(tmp_path / "journal.db", write=True) as file:
        (relay,) = to_mongo(feed, SqlitePositions(file), archive, Controller.OURS, aside)
        for _ in range(3 * TRIES):
            with suppress(Unavailable):  # some servers close the connection without a word
                await relay.step()
    found = {each["id"]: each for each in plain.find()}
    assert set(found) == {each.id for each in documents}
    odd = found[documents[2].id]
    assert (odd["lifecycleStatus"], odd["attachments"]) == ("Running", {})
    assert all(found[each.id]["attachments"] for each in documents if each is not documents[2])
    assert aside.counts == {Kind.DELIVERY: 1}


class Changed:
    """A feed of documents."""

    def __init__(self, documents: list[TaskDocument]) -> None:
        self._documents = documents

    async def changed(self, after: int, limit: int) -> list[tuple[int, TaskDocument]]:
        return list(enumerate(self._documents, 1))[after:][:limit]

    async def revised(self, after: int, limit: int) -> list[tuple[int, TaskDocument]]:
        return []


async def test_documents_of_one_id_are_named_and_hide_no_other(
    archive: MongoArchive, plain: Collection[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    twice, once = task_id(), task_id()
    plain.insert_many([foreign(twice), foreign(twice)])
    for sequence in (1, 2):
        await archive.put([document(once, sequence), document(twice, sequence)])
    assert "the same id" in caplog.text
    assert [each["sequence"] for each in plain.find({"id": once})] == [2]
    assert sorted(each.get("sequence", 0) for each in plain.find({"id": twice})) == [0, 2]
