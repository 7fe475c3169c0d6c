"""Many workers and many runs, written into a test server's database: the API would take minutes."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.services.prefect_server import PrefectServer

Row = dict[str, Any]
_made: list[tuple[PrefectServer, str, str]] = []
"""Server, table and id of what was written here."""


def add_workers(
    server: PrefectServer,
    pool_id: str,
    names: Iterable[str],
    *,
    online: bool,
    silent: timedelta,
    interval: int = 30,
) -> None:
    """Workers of the pool that were last heard of ``silent`` ago; ``interval``: seconds between heartbeats."""
    heard = _text(datetime.now(UTC) - silent)
    rows = [
        {
            "id": str(uuid4()),
            "name": name,
            "work_pool_id": pool_id,
            "last_heartbeat_time": heard,
            "heartbeat_interval_seconds": interval,
            "status": "ONLINE" if online else "OFFLINE",
        }
        for name in names
    ]
    with opened(server) as database:
        _insert(database, "worker", rows)
    _made.extend((server, "worker", row["id"]) for row in rows)


def copy_runs(server: PrefectServer, run: str, count: int, labels: dict[str, Any] | None = None) -> list[str]:
    """Ids of ``count`` copies of the run, with all its states; ``labels`` are theirs."""
    with opened(server) as database:
        original = _row(database, "SELECT * FROM flow_run WHERE id = ?", run)
        states = [
            dict(row) for row in database.execute("SELECT * FROM flow_run_state WHERE flow_run_id = ?", [run])
        ]
        runs: list[Row] = []
        copied: list[Row] = []
        for _ in range(count):
            id_ = str(uuid4())
            ids = {state["id"]: str(uuid4()) for state in states}
            changed = {"id": id_, "name": id_[:8], "state_id": ids[original["state_id"]]}
            runs.append({**original, **changed, "idempotency_key": id_, "labels": json.dumps(labels or {})})
            copied += [{**state, "id": ids[state["id"]], "flow_run_id": id_} for state in states]
        _insert(database, "flow_run", runs)
        _insert(database, "flow_run_state", copied)
    _made.extend((server, "flow_run", row["id"]) for row in runs)
    _made.extend((server, "flow_run_state", row["id"]) for row in copied)
    return [row["id"] for row in runs]


def disperse() -> None:
    """Take away what was written here: every bridge that looks at all of a shared server would read it again."""
    while _made:
        server = _made[-1][0]
        gone = [(table, id_) for at, table, id_ in _made if at is server]
        _made[:] = [each for each in _made if each[0] is not server]
        if server.process is None:
            continue
        with opened(server) as database:
            for table in ("flow_run", "flow_run_state", "worker"):
                ids = [(id_,) for name, id_ in gone if name == table]
                # States that came since are a run's, too.
                if table == "flow_run":
                    database.executemany("DELETE FROM flow_run_state WHERE flow_run_id = ?", ids)
                database.executemany(f"DELETE FROM {table} WHERE id = ?", ids)


def remove_runs(server: PrefectServer, deployment: str) -> None:
    """Take away all runs of a deployment, for the same reason."""
    runs = "SELECT id FROM flow_run WHERE deployment_id = ?"
    with opened(server) as database:
        database.execute(f"DELETE FROM flow_run_state WHERE flow_run_id IN ({runs})", [deployment])
        database.execute("DELETE FROM flow_run WHERE deployment_id = ?", [deployment])


def age_variable(server: PrefectServer, name: str, by: timedelta) -> None:
    """Let the variable be as if it had been written so long ago."""
    when = _text(datetime.now(UTC) - by)
    with opened(server) as database:
        database.execute("UPDATE variable SET created = ?, updated = ? WHERE name = ?", [when, when, name])


@contextlib.contextmanager
def opened(server: PrefectServer) -> Iterator[sqlite3.Connection]:
    """The server's database in one transaction."""
    database = sqlite3.connect(server.home / "prefect.db", timeout=60)
    database.row_factory = sqlite3.Row
    try:
        with database:
            database.execute("BEGIN IMMEDIATE")
            yield database
    finally:
        database.close()


def _row(database: sqlite3.Connection, sql: str, *values: str) -> Row:
    return dict(database.execute(sql, values).fetchone())


def _insert(database: sqlite3.Connection, table: str, rows: list[Row]) -> None:
    for row in rows:
        marks = ", ".join("?" * len(row))
        database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")
