"""One of the product's processes, with all that it starts: killed, stopped and started again as one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.services.leashed import leashed
from tests.services.poll import until

MARK = "SKALD_CHAOS"
"""In the environment of everything that belongs to one run of the chaos: what is left over is found by it."""


def alive(process: psutil.Process) -> bool:
    """Not so when only its exit status is left."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def family(pid: int) -> list[psutil.Process]:
    """The process and its living descendants, parents first."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [each for each in (root, *root.children(recursive=True)) if alive(each)]
    return []


def freeze(pid: int) -> None:
    """SIGSTOP for all of the family; the parents first, so that nothing is started meanwhile."""
    stopped: set[int] = set()
    while fresh := [each for each in family(pid) if each.pid not in stopped]:
        for process in fresh:
            stopped.add(process.pid)
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()


def thaw(pid: int) -> None:
    for process in reversed(family(pid)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()


def marked(mark: str) -> list[psutil.Process]:
    """Living processes on this machine that have the mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.environ().get(MARK) == mark and alive(process):
                found.append(process)
    return found


class Program:
    """``start`` again after an end goes on in the same log. Start it from the main thread: it dies with that."""

    def __init__(
        self,
        command: list[str],
        env: Mapping[str, str],
        log: Path,
        cwd: Path,
        *,
        ready: str = "",
        lock: Path | None = None,
    ) -> None:
        """It is up when it has said ``ready`` in its log, and its process id is in ``lock``."""
        self._command = command
        self._env = dict(env)
        self._cwd = cwd
        self._ready = ready
        self._lock = lock
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    def start(self) -> None:
        heard = self._heard()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                leashed(self._command),
                cwd=self._cwd,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(lambda: self._up(heard), 90, f"{self._command[-1]} is up; its log: {self.log}")

    def kill(self) -> list[psutil.Process]:
        """SIGKILL for the process alone; returns those of its descendants that outlive it by five seconds."""
        children = family(self.pid)[1:]
        self._end(signal.SIGKILL)
        _, left = psutil.wait_procs(children, timeout=5)
        return [process for process in left if alive(process)]

    def stop(self, seconds: float = 60) -> None:
        """SIGTERM, and SIGKILL after ``seconds``."""
        self._end(signal.SIGTERM, seconds)

    def rss(self) -> int:
        """Bytes; 0 while it does not run."""
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            return int(psutil.Process(self.pid).memory_info().rss) if self.pid else 0
        return 0

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _heard(self) -> int:
        return self.said().count(self._ready) if self._ready else 0

    def _up(self, before: int) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"{self._command[-1]} ended: {self.said()[-3000:]}"
        held = self._lock is None or (self._lock.exists() and self._lock.read_text() == str(self.pid))
        return held and (not self._ready or self._heard() > before)

    def _end(self, how: signal.Signals, seconds: float = 10) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, how)
            # A stopped process takes SIGTERM only once it goes on.
            os.kill(self.process.pid, signal.SIGCONT)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process = None
