"""A real service as a process with ports and a folder of its own, which tests stop, kill, freeze and restart."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.services.leashed import leashed
from tests.services.poll import until

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def lasting_port() -> int:
    """A free port that stays free while its service is down.

    Not an ephemeral one: a client that dials such a port again and again in time connects to itself, and holds it.
    """
    first = int(_EPHEMERAL.read_text().split()[0]) if _EPHEMERAL.exists() else 32768
    while taken(port := random.randrange(min(10_000, first - 5_000), first)):
        pass
    return port


def taken(port: int) -> bool:
    """Whether a service on 127.0.0.1 could not have it."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def alive(pid: int) -> bool:
    """Not so when only its exit status is left, for whoever adopted it to collect."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


class Service(ABC):
    """``start`` after ``stop`` or ``kill`` takes the same ports and data. As a context it is running."""

    name: str
    patience = 60.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the process said since it was last started."""
        return self.folder / "log"

    @property
    @abstractmethod
    def ports(self) -> dict[str, int]:
        """The ports it listens on, by what they are for."""

    @abstractmethod
    def command(self) -> list[str]:
        """What to execute, its files written."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it takes requests; an open port alone comes before that."""

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} is not running"
        return self.process.pid

    def start(self, *, detached: bool = False) -> None:
        """Up and answering. Unless ``detached``, it dies with the calling thread."""
        assert not self.running, f"{self.name} runs already, as process {self.pid}"
        self.folder.mkdir(parents=True, exist_ok=True)
        command = self.command()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command if detached else leashed(command),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            until(self._up, self.patience, f"{self.name} on {self.ports}; its log: {self.log}")
        except BaseException:
            self.kill()
            raise

    def _up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"{self.name} ended: {self.said()[-2000:]}"
        return self.answers()

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        """As its operator would: SIGTERM, and time to put its data down."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: nothing is put down that was not before."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, and nothing answers on them."""
        os.kill(self.pid, signal.SIGSTOP)
        until(self._frozen, 10, f"{self.name} frozen")

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)
        until(lambda: not self._frozen(), 10, f"{self.name} thawed")

    def _frozen(self) -> bool:
        return psutil.Process(self.pid).status() == psutil.STATUS_STOPPED

    def _end(self, how: signal.Signals) -> None:
        """Nothing where it does not run; its process group, for a service may have children."""
        if self.process is None:
            return
        if self.running:
            os.killpg(self.process.pid, how)
            # A frozen process takes SIGTERM only once it is thawed.
            os.killpg(self.process.pid, signal.SIGCONT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Nobody reads its data again: no time to put it down.
        self.kill()
