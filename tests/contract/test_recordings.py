"""The ``Recordings`` port, over SQLite and each server of MongoDB's protocol."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from skald_bridge.adapters.mongo_archive import MongoArchive
from skald_bridge.adapters.mongo_recordings import MongoRecordings
from skald_bridge.adapters.sqlite import SqliteRecordings
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.recordings import Recording
from skald_bridge.ports import Recordings
from tests.contract.records import task_id
from tests.services.mongo import Mongo

START = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


def made(count: int) -> list[Recording]:
    task = task_id()
    return [
        Recording(str(uuid4()), task, f"größe/{n}.mp4", START + timedelta(seconds=n), 1.5, "h264", 2**40)
        for n in range(count)
    ]


async def holds(recordings: Recordings) -> None:
    """A repeat changes nothing; many come at once."""
    some = made(3)
    assert await recordings.add([]) == 0
    assert await recordings.add(some[:2]) == 2
    assert await recordings.add([*some, some[2]]) == 1
    assert await recordings.add(some) == 0
    assert await recordings.add(made(1200)) == 1200


async def test_sqlite(tmp_path: Path) -> None:
    async with SqliteFile(tmp_path / "journal.db", write=True) as file:
        await holds(SqliteRecordings(file))


async def test_mongo(any_mongo: Mongo) -> None:
    async with MongoArchive(SecretStr(any_mongo.uri), f"db{uuid4().hex[:8]}") as archive:
        await holds(MongoRecordings(archive))
        await holds(MongoRecordings(archive))
        assert await MongoRecordings(archive).add(made(1)) == 1


async def test_mongo_that_is_away_says_so() -> None:
    async with MongoArchive(SecretStr("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200")) as archive:
        with pytest.raises(Unavailable, match=r"MongoDB at 127\.0\.0\.1:1"):
            await MongoRecordings(archive).add(made(1))


async def test_what_was_added_comes_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    some, other = made(3), made(1)
    async with SqliteFile(path, write=True) as file:
        recordings = SqliteRecordings(file)
        await recordings.add(some[:2])
        await recordings.add([replace(some[0], path="other"), *other, some[2]])
    async with SqliteFile(path, write=True) as file:
        recordings = SqliteRecordings(file)
        found = await recordings.changed(0, 2)
        assert [each for _, each in found] == some[:2]
        assert [each for _, each in await recordings.changed(found[-1][0], 10)] == [*other, some[2]]
        assert await recordings.of(some[0].task) == some
        await file.wipe()
        assert await recordings.changed(0, 10) == []


async def test_a_file_from_before_there_were_recordings_gets_them(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteFile(path, write=True) as file:
        await file.run(lambda connection: connection.execute("DROP TABLE recordings"))
    async with SqliteFile(path, write=True) as file:
        assert await SqliteRecordings(file).add(made(1)) == 1
