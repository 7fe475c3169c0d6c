"""The embedded server's transactions take SQLite's write lock as they begin, and Prefect's server uses them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from prefect.server.database import dependencies
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL, temporary_settings

from skald_bridge.installation import embedded_database


def url_of(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"


def locked(file: Path) -> bool:
    """Whether somebody else holds the write lock."""
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            assert "locked" in str(error)
            return True
        return False


@pytest.mark.parametrize(
    ("kind", "held"), [(AioSqliteConfiguration, False), (embedded_database.WriteLockFirst, True)]
)
async def test_what_has_not_written_yet_holds_the_lock_with_us(
    tmp_path: Path, kind: type[AioSqliteConfiguration], held: bool
) -> None:
    file = tmp_path / "prefect.db"
    database = kind(url_of(file))
    engine = await database.engine()
    try:
        async with await database.session(engine) as session:
            async with database.begin_transaction(session):
                await session.connection()
                assert locked(file) == held
            assert not locked(file)
    finally:
        await engine.dispose()


async def test_a_session_inside_another_transaction_does_not_wait_for_its_lock(tmp_path: Path) -> None:
    database = embedded_database.WriteLockFirst(url_of(tmp_path / "prefect.db"))
    engine = await database.engine()
    try:
        async with (
            await database.session(engine) as outer,
            database.begin_transaction(outer),
            await database.session(engine) as inner,
            database.begin_transaction(inner),
        ):
            await inner.connection()
    finally:
        await engine.dispose()


def test_the_server_takes_the_one_that_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in dependencies.MODELS_DEPENDENCIES:
        monkeypatch.setitem(dependencies.MODELS_DEPENDENCIES, name, None)  # type: ignore[misc]
    with temporary_settings({PREFECT_SERVER_DATABASE_CONNECTION_URL: url_of(tmp_path / "prefect.db")}):
        embedded_database.install()
        used = dependencies.provide_database_interface().database_config
    assert type(used) is embedded_database.WriteLockFirst
