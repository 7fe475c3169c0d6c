"""What `skald doctor` finds."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import shutil
import socket
import sqlite3
from collections import namedtuple
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from skald_bridge.adapters import sqlite_file
from skald_bridge.adapters.sqlite import SqliteArchive
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.cli import checks
from skald_bridge.cli.checks import Check
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.settings import Settings
from tests.contract.records import AT, document, task_id
from tests.services.skald_cli import skald


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, server_port=_free_port())


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_a_sound_machine_passes(tmp_path: Path) -> None:
    said = skald("doctor", "--json", home=tmp_path, env={"SKALD_SERVER_PORT": str(_free_port())})
    assert said.json["ok"] is True
    names = [check["name"] for check in said.json["checks"]]
    assert {"Python", "prefect", "fastapi", "Prefect API", "ffmpeg", "GPUs", "disk space", "Kafka"} <= set(
        names
    )
    assert set(said.json["checks"][0]) == {"name", "status", "detail", "remedy", "required"}


def test_a_missing_service_fails_with_its_remedy(tmp_path: Path) -> None:
    said = skald("doctor", home=tmp_path, env={"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(_free_port())})
    assert said.code == 1
    assert "does not answer" in said.out
    assert "correct REDIS_HOST" in said.out


def test_services_are_tried_where_they_are_configured(settings: Settings) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        with_services = Settings(
            home=settings.home,
            kafka_host="127.0.0.1",
            kafka_port=port,
            mongo_host=SecretStr(f"mongodb://root:secret@127.0.0.1:{port},other:1/x"),
        )
        found = {check.name: check for check in checks.services(with_services)}
    assert found["Kafka"].status == found["MongoDB"].status == "ok"
    assert found["MongoDB"].detail == f"127.0.0.1:{port} answers"
    assert found["Redis"] == Check("Redis", "ok", "not configured: embedded", required=False)


def test_a_taken_port_is_a_warning(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.server_port))
        taken.listen()
        found = checks.port(settings)
    assert (found.status, found.required) == ("warning", False)
    assert found.remedy is not None


def test_a_misspelt_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SKALD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SKALD_POOL", "gpu")
    monkeypatch.setenv("SKALD_GRACCE", "3")
    found = list(checks.unknown_variables())
    assert [(check.name, check.remedy) for check in found] == [("SKALD_GRACCE", "Did you mean SKALD_GRACE?")]


def test_settings_without_effect_are_said_to_have_none() -> None:
    assert list(checks.set_in_vain(Settings())) == []
    found = list(checks.set_in_vain(Settings(dispatcher_interval=1, monitor_task_interval=3)))
    assert [(check.name, check.status) for check in found] == [("DISPATCHER_INTERVAL", "warning")]
    assert "documents are heard of as they change" in found[0].detail


@pytest.mark.parametrize(
    ("free", "status"), [(100_000_000, "failed"), (1_000_000_000, "warning"), (50_000_000_000, "ok")]
)
def test_disk_space(settings: Settings, monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(free, 0, free))
    assert checks.space(settings).status == status


def test_the_journal_is_told_and_what_is_kept(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.journal(settings).detail == "none yet; what has ended is kept for 30 days"
    path = settings.home / "journal.db"

    async def write() -> None:
        async with SqliteFile(path, write=True) as file:
            await SqliteArchive(file).put(
                [
                    document(task_id(), 4, StateType.FAILED, created=AT, ended=AT),
                    document(task_id(), created=AT - timedelta(days=9)),
                ]
            )

    asyncio.run(write())
    found = checks.journal(settings)
    assert (found.status, found.required, found.remedy) == ("ok", False, None)
    assert "oldest ended task of 2026-01-01; what has ended is kept for 30 days" in found.detail

    forever = settings.model_copy(update={"retention_days": 0.0})
    assert checks.journal(forever).status == "ok"
    monkeypatch.setattr(checks, "LARGE_JOURNAL", 1000)
    assert checks.journal(settings).status == "ok"
    found = checks.journal(forever)
    assert (found.status, found.required) == ("warning", False)
    assert "SKALD_RETENTION_DAYS" in str(found.remedy)

    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA auto_vacuum = 0")
        connection.execute("VACUUM")
    connection.close()
    assert checks.journal(settings).status == "ok", "it is converted when the bridge starts"
    monkeypatch.setattr(sqlite_file, "CONVERTED", 1000)
    found = checks.journal(settings)
    assert found.status == "warning"
    assert f"sqlite3 {path} 'PRAGMA auto_vacuum = 2; VACUUM'" in str(found.remedy)

    path.write_text("no database" * 100)
    assert checks.journal(settings).status == "warning"


def test_a_home_under_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert checks.folder(Settings(home=tmp_path / "file" / "home")).status == "failed"


def test_a_package_out_of_range_fails_with_the_command_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version
    monkeypatch.setattr(checks, "version", lambda name: "0.160.0" if name == "fastapi" else real(name))
    found = {check.name: check for check in checks.packages()}
    assert found["prefect"].status == "ok"
    assert found["fastapi"].status == "failed"
    assert found["fastapi"].remedy == "pip install 'fastapi<0.151,>=0.139'"


def test_an_ffmpeg_that_does_not_run_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from skald_bridge.media import ffmpeg

    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    ffmpeg.executable.cache_clear()
    found = checks.ffmpeg()
    ffmpeg.executable.cache_clear()
    assert found.status == "failed"
    assert "does not run" in found.detail
