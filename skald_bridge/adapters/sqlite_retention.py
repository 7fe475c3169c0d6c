"""Pruning of the SQLite file, in transactions so small that those of others wait for milliseconds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from datetime import UTC, datetime

from skald_bridge.adapters import sqlite_file
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import CLOSED, LifecycleStatus
from skald_bridge.domain.retention import READS, Delivered, Mark, Pruned, RelayFeed, StoredSize

LOOKED_AT = 40
"""Documents of one transaction."""
ROWS = 200
"""Rows that one transaction deletes at most."""
PAGES = 256
"""Pages that one step gives back to the disk at most: a MiB."""
_CLOSED = json.dumps(sorted(CLOSED))
_OPEN = json.dumps(sorted(set(LifecycleStatus) - CLOSED))
_LOOK = """
    SELECT id, created, CASE WHEN
        lifecycle IN (SELECT value FROM json_each(:closed))
        AND change <= :changes AND revised <= :revised
        -- The next change is numbered after the newest.
        AND change < (SELECT max(change) FROM archive)
        AND NOT EXISTS (SELECT 1 FROM journal WHERE task = archive.id AND position > :journal)
        AND NOT EXISTS (SELECT 1 FROM recordings WHERE task = archive.id AND position > :recordings)
    THEN coalesce(json_extract(body, '$.ended'), json_extract(body, '$.updated')) END
    FROM archive
    WHERE created < :before AND (created, id) > (:created, :id)
    ORDER BY created, id LIMIT :limit
"""
_LEAST = {
    RelayFeed.JOURNAL: "SELECT min(position) FROM journal",
    RelayFeed.CHANGES: "SELECT min(change) FROM archive",
    RelayFeed.REVISED: "SELECT min(revised) FROM archive WHERE revised > 0",
    RelayFeed.RECORDINGS: "SELECT min(position) FROM recordings",
}


class SqliteRetention:
    """``Prunable`` of the file that ``SqliteJournal``, ``SqliteArchive`` and ``SqliteRecordings`` write."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def awaited(self) -> set[TaskId]:
        """What open tasks wait for."""
        sql = """
            SELECT value FROM archive INDEXED BY archive_lifecycle, json_each(body, '$.dependencies')
            WHERE lifecycle IN (SELECT value FROM json_each(?))
        """
        return {TaskId(str(row[0])) for row in await self._file.rows(sql, _OPEN)}

    async def prune(
        self, before: datetime, told: Delivered, spared: Collection[TaskId], after: Mark
    ) -> Pruned:
        """One transaction's worth of the tasks that ended before then and are told to everybody."""
        end = before.astimezone(UTC).isoformat()
        values = {
            "closed": _CLOSED,
            "changes": told.changes,
            "revised": told.revised,
            "journal": told.journal,
            "recordings": told.recordings,
            "before": end,
            "created": after[0],
            "id": after[1],
            "limit": LOOKED_AT,
        }

        def work(connection: sqlite3.Connection) -> Pruned:
            rows = tasks = 0
            reached = after
            found = connection.execute(_LOOK, values).fetchall()
            for task, created, ended in found:
                if ended is not None and ended < end and task not in spared:
                    size = _size(connection, task)
                    if rows and rows + size > ROWS:
                        return Pruned(rows, tasks, reached)
                    if size > ROWS:
                        return Pruned(_begin(connection, task), tasks, reached)
                    _delete(connection, task)
                    rows, tasks = rows + size, tasks + 1
                reached = (created, task)
            return Pruned(rows, tasks, reached if len(found) == LOOKED_AT else None)

        return await self._file.run(work)

    async def forget(self, relays: Collection[str]) -> None:
        """Positions of relays that are not among these, where all that is left comes after them."""

        def work(connection: sqlite3.Connection) -> None:
            for name, feed in READS.items():
                if name not in relays:
                    sql = f"DELETE FROM delivered WHERE name = ? AND position < ({_LEAST[feed]})"  # noqa: S608
                    connection.execute(sql, [name])

        await self._file.run(work)

    async def shrink(self) -> bool:
        """Whether there may be more pages to give back to the disk than this step did."""

        def work(connection: sqlite3.Connection) -> bool:
            before = _pragma(connection, "freelist_count")
            # A cursor would step it once, which is one page.
            connection.executescript(f"PRAGMA incremental_vacuum({PAGES});")
            return 0 < _pragma(connection, "freelist_count") < before

        return await self._file.run(work)

    async def settle(self) -> None:
        """The write-ahead log goes into the file; not while somebody reads."""

        def work(connection: sqlite3.Connection) -> None:
            patience = _pragma(connection, "busy_timeout")
            connection.execute("PRAGMA busy_timeout = 0")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            connection.execute(f"PRAGMA busy_timeout = {patience}")

        await self._file.run(work)

    async def stored(self) -> StoredSize:
        """What there is."""

        def work(connection: sqlite3.Connection) -> StoredSize:
            sql = """
                SELECT coalesce(json_extract(body, '$.ended'), json_extract(body, '$.updated'))
                FROM archive WHERE lifecycle = ? ORDER BY created LIMIT 1
            """
            ends = [row[0] for status in CLOSED for row in connection.execute(sql, [status])]
            oldest = min(map(datetime.fromisoformat, ends), default=None)
            page = _pragma(connection, "page_size")
            size, free = (
                _pragma(connection, "page_count") * page,
                _pragma(connection, "freelist_count") * page,
            )
            shrinks = _pragma(connection, "auto_vacuum") != 0 or size < sqlite_file.CONVERTED
            return StoredSize(size, free, oldest, shrinks)

        return await self._file.run(work)


def _size(connection: sqlite3.Connection, task: str) -> int:
    """Rows of a task's."""
    sql = """
        SELECT 1 + (SELECT count(*) FROM journal WHERE task = :task)
            + (SELECT count(*) FROM recordings WHERE task = :task)
    """
    return int(connection.execute(sql, {"task": task}).fetchone()[0])


def _begin(connection: sqlite3.Connection, task: str) -> int:
    """As many rows as may be of a task that has more, the oldest first; document and newest state stay."""
    deleted = 0
    for table, kept in (("recordings", 0), ("journal", 1)):
        sql = f"""
            DELETE FROM {table} WHERE position IN (
                SELECT position FROM {table} WHERE task = :task ORDER BY position
                LIMIT max(0, min(:most, (SELECT count(*) FROM {table} WHERE task = :task) - :kept))
            )
        """  # noqa: S608
        deleted += connection.execute(sql, {"task": task, "most": ROWS - deleted, "kept": kept}).rowcount
    return deleted


def _delete(connection: sqlite3.Connection, task: str) -> None:
    for sql in (
        "DELETE FROM recordings WHERE task = ?",
        "DELETE FROM journal WHERE task = ?",
        "DELETE FROM archive WHERE id = ?",
    ):
        connection.execute(sql, [task])


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
