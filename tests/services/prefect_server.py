"""A real Prefect server for tests: a copy of a migrated database, so that it is up in seconds."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import prefect

from skald_bridge.installation.embedded import api_url, client_environment, server_command, server_environment
from tests.services.http import request
from tests.services.leashed import leashed
from tests.services.poll import until

READY = {
    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
    "PREFECT_SERVER_API_BLOCKS_REGISTER_ON_START": "false",
}
"""Server settings for a copy of the template: what they leave out, a second and more, is done in it."""
CACHE = Path(__file__).parents[2] / ".cache" / "tests"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class PrefectServer:
    """One server process on its own port and home; ``kill`` is SIGKILL, ``start`` again keeps the data."""

    def __init__(
        self, home: Path, database_url: str | None = None, env: dict[str, str] | None = None
    ) -> None:
        self.home = home
        self.port = free_port()
        self.database_url = database_url
        self.extra_env = env or {}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return api_url(self.port)

    @property
    def client_env(self) -> dict[str, str]:
        return client_environment(os.environ, self.home, self.url)

    def command(self) -> list[str]:
        return server_command(self.port)

    def start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        env = server_environment(os.environ, self.home, self.port, self.database_url)
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                leashed(self.command()),
                env={**env, **self.extra_env},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        until(self.answers, 90, f"Prefect server on {self.url}; its log: {self.home / 'server.log'}")

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.home / "server.log").read_text()[-2000:]
        with contextlib.suppress(httpx.HTTPError):
            return request("GET", f"{self.url}/health", timeout=2).status_code == 200
        return False

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, how)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        self.process = None


def migrated_database() -> Path:
    """A SQLite file with Prefect's schema and its own block types, made once per Prefect version."""
    template = CACHE / f"prefect-{prefect.__version__}-ready.db"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            home = CACHE / "template-home"
            shutil.rmtree(home, ignore_errors=True)
            server = PrefectServer(home)
            server.start()
            server.stop()
            with contextlib.closing(sqlite3.connect(home / "prefect.db")) as database:
                # Its last pages may still be in the write-ahead log.
                database.execute("VACUUM INTO ?", [str(template)])
            shutil.rmtree(home)
    return template


@contextlib.contextmanager
def running_server(home: Path, env: dict[str, str] | None = None) -> Iterator[PrefectServer]:
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(migrated_database(), home / "prefect.db")
    server = PrefectServer(home, env={**READY, **(env or {})})
    server.start()
    try:
        yield server
    finally:
        server.stop()
