"""A journal that has been written for long, made in seconds."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.retention import READS, RelayFeed
from skald_bridge.wire.skalds import document_json, record_json
from tests.contract.records import document, record, task_id

LIFE = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.RUNNING, StateType.COMPLETED)
_TASKS = """
    WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < :tasks),
        random (n, hex) AS MATERIALIZED (
            SELECT n, printf('%012x', 1000 * (unixepoch(:first) + n)) || '7' || lower(hex(randomblob(10)))
            FROM number
        )
    INSERT INTO made
    SELECT n,
        substr(hex, 1, 8) || '-' || substr(hex, 9, 4) || '-' || substr(hex, 13, 4) || '-'
            || substr(hex, 17, 4) || '-' || substr(hex, 21, 12),
        strftime('%Y-%m-%dT%H:%M:%f', :first, '+' || n || ' seconds') || '000+00:00'
    FROM random
"""
_STATES = """
    INSERT INTO journal (id, task, sequence, body)
    SELECT substr(id, 1, 34) || :ending, id, :sequence,
        replace(replace(replace(:body, '@state', substr(id, 1, 34) || :ending), '@task', id), '@at', at)
    FROM made
"""
_DOCUMENTS = """
    INSERT INTO archive (id, class_name, lifecycle, created, sequence, revision, change, revised, body)
    SELECT id, 'Probe', 'Finished', at, :sequence, 1, n, 0,
        replace(replace(replace(:body, '@state', substr(id, 1, 34) || :ending), '@task', id), '@at', at)
    FROM made
"""


async def fill(path: Path, records: int, now: datetime) -> None:
    """Of tasks that ended, one a second, the newest at ``now``; all is delivered, and the sweep has seen it.

    Ids begin with their time, as those that Prefect makes do.
    """
    async with SqliteFile(path, write=True):
        pass
    tasks = records // len(LIFE)
    connection = sqlite3.connect(path)
    # Nobody else reads it yet, and a crash costs nothing.
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -400000")
    connection.execute("CREATE TEMP TABLE made (n INTEGER PRIMARY KEY, id TEXT NOT NULL, at TEXT NOT NULL)")
    connection.execute(_TASKS, {"tasks": tasks, "first": (now - timedelta(seconds=tasks)).isoformat()})
    for sequence, state in enumerate(LIFE, 1):
        body = record_json(record(task_id(), sequence, state))
        body |= {"id": "@state", "taskIds": ["@task"], "at": "@at"}
        values = {"ending": f"{sequence - 1:02}", "sequence": sequence, "body": json.dumps(body)}
        connection.execute(_STATES, values)
    body = document_json(document(task_id(), len(LIFE), StateType.COMPLETED))
    body |= {"id": "@task", "stateId": "@state"} | dict.fromkeys(
        ("created", "updated", "started", "ended"), "@at"
    )
    connection.execute(
        _DOCUMENTS, {"ending": f"{len(LIFE) - 1:02}", "sequence": len(LIFE), "body": json.dumps(body)}
    )
    newest = {
        RelayFeed.JOURNAL: tasks * len(LIFE),
        RelayFeed.CHANGES: tasks,
        RelayFeed.REVISED: tasks,
        RelayFeed.RECORDINGS: 0,
    }
    connection.executemany(
        "INSERT INTO delivered VALUES (?, ?)", [(relay, newest[feed]) for relay, feed in READS.items()]
    )
    connection.execute("INSERT INTO cursor VALUES ('sweep', ?)", [now.isoformat()])
    connection.commit()
    connection.close()
