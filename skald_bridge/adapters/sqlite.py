"""The embedded journal, archive and cursor, in one SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import orjson

from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.domain.ids import StateId, TaskId
from skald_bridge.domain.lifecycle import CLOSED, LifecycleStatus, StateType
from skald_bridge.domain.recordings import Recording
from skald_bridge.domain.records import JournalRecord, TaskDocument
from skald_bridge.domain.task_filter import EVERY, TaskFilter
from skald_bridge.wire.recordings import recording_json, recording_of
from skald_bridge.wire.skalds import document_json, document_of, record_json, record_of, to_ms

_OPEN = sorted(set(LifecycleStatus) - CLOSED)
_SWEEP = "sweep"


class SqliteJournal:
    """The ``Journal`` port."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def append(self, records: Sequence[JournalRecord]) -> int:
        rows = [
            (record.id, record.task, record.sequence, orjson.dumps(record_json(record)).decode())
            for record in records
        ]

        def work(connection: sqlite3.Connection) -> int:
            sql = "INSERT OR IGNORE INTO journal (id, task, sequence, body) VALUES (?, ?, ?, ?)"
            return connection.executemany(sql, rows).rowcount

        return await self._file.run(work)

    async def last(self, tasks: Sequence[TaskId]) -> dict[TaskId, JournalRecord]:
        sql = (
            "SELECT body, max(sequence) FROM journal"
            " WHERE task IN (SELECT value FROM json_each(?)) GROUP BY task"
        )
        found = [record_of(json.loads(row[0])) for row in await self._file.rows(sql, _dump(list(tasks)))]
        return {record.task: record for record in found}

    async def contains(self, ids: Sequence[StateId]) -> set[StateId]:
        sql = "SELECT id FROM journal WHERE id IN (SELECT value FROM json_each(?))"
        return {StateId(row[0]) for row in await self._file.rows(sql, _dump(list(ids)))}

    async def read(
        self, *, after: int = 0, task: TaskId | None = None, limit: int = 1000
    ) -> list[tuple[int, JournalRecord]]:
        if task is None:
            sql = "SELECT position, body FROM journal WHERE position > ? ORDER BY position LIMIT ?"
            return _positions(await self._file.rows(sql, after, limit))
        sql = "SELECT position, body FROM journal WHERE position > ? AND task = ? ORDER BY position LIMIT ?"
        return _positions(await self._file.rows(sql, after, task, limit))

    async def skim(
        self, states: Collection[StateType], *, after: int, limit: int
    ) -> list[tuple[int, JournalRecord]]:
        sql = """
            SELECT position, body FROM journal
            WHERE position > ? AND (
                json_extract(body, '$.state') IN (SELECT value FROM json_each(?))
                OR position = (SELECT max(position) FROM journal)
            )
            ORDER BY position LIMIT ?
        """
        return _positions(await self._file.rows(sql, after, _dump(sorted(states)), limit))

    async def tail(self, count: int) -> list[tuple[int, JournalRecord]]:
        sql = "SELECT position, body FROM journal ORDER BY position DESC LIMIT ?"
        return _positions(await self._file.rows(sql, count))[::-1]


class SqliteArchive:
    """The ``Archive`` port."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def put(self, documents: Sequence[TaskDocument]) -> None:
        rows = [
            (
                document.id,
                document.class_name,
                document.lifecycle.value,
                document.created.isoformat(),
                document.sequence,
                document.revision,
                _dump(document_json(document)),
            )
            for document in documents
        ]
        # change counts the writes; revised is the change that brought new attachments, 0 when none did.
        sql = """
            INSERT INTO archive (id, class_name, lifecycle, created, sequence, revision, body, change, revised)
            VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(change), 0) + 1 FROM archive), 0)
            ON CONFLICT (id) DO UPDATE SET
                class_name = excluded.class_name, lifecycle = excluded.lifecycle, created = excluded.created,
                sequence = excluded.sequence, revision = excluded.revision, body = excluded.body,
                change = excluded.change,
                revised = iif(excluded.revision > archive.revision, excluded.change, archive.revised)
            WHERE (excluded.sequence, excluded.revision) >= (archive.sequence, archive.revision)
        """
        await self._file.run(lambda connection: connection.executemany(sql, rows))

    async def get(self, task: TaskId) -> TaskDocument | None:
        return (await self.read([task])).get(task)

    async def read(self, tasks: Sequence[TaskId]) -> dict[TaskId, TaskDocument]:
        sql = "SELECT body FROM archive WHERE id IN (SELECT value FROM json_each(?))"
        return {document.id: document for document in await self._documents(sql, _dump(list(tasks)))}

    async def open(self) -> list[TaskId]:
        sql = "SELECT id FROM archive WHERE lifecycle IN (SELECT value FROM json_each(?))"
        return [TaskId(row[0]) for row in await self._file.rows(sql, _dump(_OPEN))]

    async def find(
        self, wanted: TaskFilter = EVERY, *, limit: int = 100, offset: int = 0
    ) -> list[TaskDocument]:
        where, values = _conditions(wanted)
        sql = f"SELECT body FROM archive WHERE {where} ORDER BY created DESC, id DESC LIMIT ? OFFSET ?"  # noqa: S608
        return await self._documents(sql, *values, limit, offset)

    async def count(self, wanted: TaskFilter = EVERY) -> int:
        where, values = _conditions(wanted)
        rows = await self._file.rows(f"SELECT count(*) FROM archive WHERE {where}", *values)  # noqa: S608
        return int(rows[0][0])

    async def statuses(self) -> dict[LifecycleStatus, int]:
        rows = await self._file.rows("SELECT lifecycle, count(*) FROM archive GROUP BY lifecycle")
        return {LifecycleStatus(status): count for status, count in rows}

    async def class_names(self) -> list[str]:
        rows = await self._file.rows("SELECT DISTINCT class_name FROM archive ORDER BY class_name")
        return [row[0] for row in rows]

    async def is_owed(self, task: TaskId, relay: str) -> bool:
        """Whether the relay of this name has yet to deliver the task's document as it is here."""
        sql = """
            SELECT 1 FROM archive
            WHERE id = ? AND change > coalesce((SELECT position FROM delivered WHERE name = ?), 0)
        """
        return bool(await self._file.rows(sql, task, relay))

    async def newest(self) -> int:
        """The number of the newest write; 0 before the first."""
        rows = await self._file.rows("SELECT coalesce(max(change), 0) FROM archive")
        return int(rows[0][0])

    async def overdue(self, now: datetime, limit: int, after: TaskId | None) -> list[TaskId]:
        """Open tasks of Prefect's whose document's deadline is over, by id, those after ``after``."""
        sql = """
            SELECT id FROM archive INDEXED BY archive_lifecycle
            WHERE lifecycle IN (SELECT value FROM json_each(?)) AND id > ?
                AND json_extract(body, '$.deadlineDateTime') BETWEEN 1 AND ?
                AND json_extract(body, '$.extra.foreign') IS NULL
            ORDER BY id LIMIT ?
        """
        rows = await self._file.rows(sql, _dump(_OPEN), after or "", to_ms(now), limit)
        return [TaskId(row[0]) for row in rows]

    async def changed(self, after: int, limit: int) -> list[tuple[int, TaskDocument]]:
        """Documents written since, with the number of their newest write, oldest first; each once."""
        return await self._after("change", after, limit)

    async def revised(self, after: int, limit: int) -> list[tuple[int, TaskDocument]]:
        """Those that got new attachments since."""
        return await self._after("revised", after, limit)

    async def _after(self, column: str, after: int, limit: int) -> list[tuple[int, TaskDocument]]:
        sql = f"SELECT {column}, body FROM archive WHERE {column} > ? ORDER BY {column} LIMIT ?"  # noqa: S608
        return [(at, document_of(json.loads(body))) for at, body in await self._file.rows(sql, after, limit)]

    async def _documents(self, sql: str, *values: object) -> list[TaskDocument]:
        return [document_of(json.loads(row[0])) for row in await self._file.rows(sql, *values)]


class SqliteRecordings:
    """The ``Recordings`` port; positions count what was added."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def add(self, recordings: Sequence[Recording]) -> int:
        rows = [(each.id, each.task, _dump(recording_json(each))) for each in recordings]

        def work(connection: sqlite3.Connection) -> int:
            sql = "INSERT OR IGNORE INTO recordings (id, task, body) VALUES (?, ?, ?)"
            return connection.executemany(sql, rows).rowcount

        return await self._file.run(work)

    async def changed(self, after: int, limit: int) -> list[tuple[int, Recording]]:
        """Those added since, with their positions, oldest first."""
        sql = "SELECT position, body FROM recordings WHERE position > ? ORDER BY position LIMIT ?"
        rows = await self._file.rows(sql, after, limit)
        return [(position, recording_of(json.loads(body))) for position, body in rows]

    async def of(self, task: TaskId) -> list[Recording]:
        """As they were added."""
        sql = "SELECT body FROM recordings WHERE task = ? ORDER BY position"
        return [recording_of(json.loads(row[0])) for row in await self._file.rows(sql, task)]


class SqliteCursor:
    """The ``Cursor`` port."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def load(self) -> datetime | None:
        rows = await self._file.rows("SELECT at FROM cursor WHERE name = ?", _SWEEP)
        return datetime.fromisoformat(rows[0][0]) if rows else None

    async def save(self, at: datetime) -> None:
        sql = "INSERT OR REPLACE INTO cursor (name, at) VALUES (?, ?)"
        await self._file.run(lambda connection: connection.execute(sql, [_SWEEP, at.isoformat()]))


class SqlitePositions:
    """The ``Positions`` port."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def load(self, name: str) -> int:
        rows = await self._file.rows("SELECT position FROM delivered WHERE name = ?", name)
        return int(rows[0][0]) if rows else 0

    async def save(self, name: str, position: int) -> None:
        sql = "INSERT OR REPLACE INTO delivered (name, position) VALUES (?, ?)"
        await self._file.run(lambda connection: connection.execute(sql, [name, position]))


def _conditions(wanted: TaskFilter) -> tuple[str, list[str]]:
    given = {
        "lifecycle = ?": wanted.status,
        "class_name = ?": wanted.class_name,
        "json_extract(body, '$.executor') = ?": wanted.executor,
        "instr(lower(id), lower(?)) > 0": wanted.id_part,
        "instr(lower(class_name), lower(?)) > 0": wanted.class_part,
    }
    held = {condition: value for condition, value in given.items() if value is not None}
    return " AND ".join(held) or "true", [str(value) for value in held.values()]


def _positions(rows: Sequence[tuple[Any, ...]]) -> list[tuple[int, JournalRecord]]:
    return [(position, record_of(orjson.loads(body))) for position, body in rows]


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
