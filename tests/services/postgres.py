"""A private PostgreSQL cluster: trust, loopback, a free port; never as root, gone with who started it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services.poll import until
from tests.services.prefect_server import free_port

SYSTEM = Path("/usr/lib/postgresql")
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Postgres:
    """A cluster that answers; its superuser is ``postgres``."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def prefect_url(self) -> str:
        """For ``PREFECT_SERVER_DATABASE_CONNECTION_URL``."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/postgres"

    def answers(self) -> bool:
        """Whether it takes queries; the port alone is open before that."""
        said = (self.folder / "log").read_text()
        assert self.process.poll() is None, said[-2000:]
        return "ready to accept connections" in said


def binaries() -> Path | None:
    """The folder with ``initdb`` and ``postgres``, the newest; ``None`` where the machine has none."""
    packaged = sorted(SYSTEM.glob("*/bin"), key=_version, reverse=True)
    on_path = shutil.which("initdb")
    folders = [*packaged, *([Path(on_path).resolve().parent] if on_path else [])]
    return next((f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()), None)


def _version(folder: Path) -> list[int]:
    return [int(number) for number in folder.parent.name.split(".")]


@contextlib.contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A fresh cluster; skips the test (fails it in CI) where the machine has no PostgreSQL."""
    found = binaries()
    if found is None:
        from tests.conftest import required

        required("PostgreSQL: neither /usr/lib/postgresql/*/bin nor initdb on PATH")
    assert found is not None
    # Not under pytest's tmp_path: PostgreSQL's user could not enter it.
    folder = Path(tempfile.mkdtemp(prefix="skald-postgres-"))
    try:
        with _running(found, folder) as cluster:
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _running(programs: Path, folder: Path) -> Iterator[Postgres]:
    user = _ordinary_user(folder)
    data = folder / "data"
    options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
    made = subprocess.run(
        [str(programs / "initdb"), "-D", str(data), *options],
        capture_output=True,
        text=True,
        check=False,
        **user,
    )
    assert made.returncode == 0, made.stderr
    port = free_port()
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "shared_buffers": "64MB",
        "max_connections": "100",
    }
    flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [str(programs / "postgres"), "-D", str(data), "-p", str(port), *flags],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_die_with(os.getpid()),
            **user,
        )
    cluster = Postgres(folder, port, process)
    try:
        until(cluster.answers, 30, f"PostgreSQL on port {port}")
        yield cluster
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(10)


def _ordinary_user(folder: Path) -> dict[str, Any]:
    """Arguments for subprocess that leave root behind; ``folder`` becomes that user's."""
    if os.geteuid() != 0:
        return {"cwd": folder}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": folder}


def _die_with(parent: int) -> Callable[[], None]:
    """For the child, after its change of user, which clears the death signal. SIGQUIT ends backends too."""
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare
