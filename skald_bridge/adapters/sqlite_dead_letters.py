"""What could not be handled, in the journal's file: the newest of them, to be looked at and given back."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.domain.dead_letters import DeadLetter, Kind

KEPT = 10_000
MOST_BODY = 1024 * 1024
_SELECT = "SELECT kind, name, reason, at, defect, key, body FROM dead_letters"


class SqliteDeadLetters:
    """One row an item; one that could not be handled again has its newest reason."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def put(self, letter: DeadLetter) -> None:
        row = (
            letter.id,
            letter.kind.value,
            letter.name,
            letter.reason,
            letter.at.isoformat(),
            letter.defect,
            letter.key,
            letter.body if letter.body is None or len(letter.body) <= MOST_BODY else None,
        )

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO dead_letters (id, kind, name, reason, at, defect, key, body, again)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
                row,
            )
            connection.execute(
                "DELETE FROM dead_letters WHERE position <= (SELECT max(position) FROM dead_letters) - ?",
                [KEPT],
            )

        await self._file.run(work)

    async def newest(self, limit: int = KEPT) -> list[DeadLetter]:
        """Newest first."""
        sql = _SELECT + " ORDER BY position DESC LIMIT ?"
        return [_letter(*row) for row in await self._file.rows(sql, limit)]

    async def get(self, id_: str) -> DeadLetter | None:
        rows = await self._file.rows(_SELECT + " WHERE id = ?", id_)
        return _letter(*rows[0]) if rows else None

    async def asked_again(self) -> list[DeadLetter]:
        """Those that somebody wants handled once more."""
        return [_letter(*row) for row in await self._file.rows(_SELECT + " WHERE again = 1")]

    async def remove(self, id_: str) -> None:
        await self._file.run(
            lambda connection: connection.execute("DELETE FROM dead_letters WHERE id = ?", [id_])
        )


def ask_again(path: Path, ids: Sequence[str]) -> int:
    """Have the bridge that writes the file handle these items once more; returns how many there are."""
    connection = sqlite3.connect(path, timeout=30)
    try:
        with connection:
            marks = [(id_,) for id_ in ids]
            return connection.executemany("UPDATE dead_letters SET again = 1 WHERE id = ?", marks).rowcount
    finally:
        connection.close()


def _letter(
    kind: str, name: str, reason: str, at: str, defect: int, key: bytes | None, body: bytes | None
) -> DeadLetter:
    return DeadLetter(Kind(kind), name, reason, datetime.fromisoformat(at), bool(defect), key, body)
