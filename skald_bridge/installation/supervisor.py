"""Child processes kept alive: started in order, restarted with backoff, ended in the reverse order.

No child outlives the process that holds the supervisor, however that one ends. One thread starts and watches
all children: the kernel's death signal follows the thread that started a child.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType

from skald_bridge.installation.part_ends import crash_loop, free_space, how_of, lines_since, writing
from skald_bridge.installation.restarts import GiveUp, RestartPolicy, cause
from skald_bridge.logs import Rotation, rotate

_DIE_WITH_PARENT = str(Path(__file__).with_name("die_with_parent.py"))
_TICK = 0.1
_ASK_EVERY = 0.3
_ROTATE_EVERY = 60.0
_TELL_AFTER = 2.0
"""Seconds after which one who waits is told what for."""


@dataclass(frozen=True)
class Part:
    """One child process. ``env`` is its whole environment; times are in seconds.

    ``ready`` is asked a few times per second until it says yes; the next part starts then. ``grace`` is the
    time from SIGTERM to SIGKILL. ``waits_for`` says what it waits for meanwhile; ``final`` are exit codes by
    which it says that to start it again is of no use.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    ready: Callable[[], bool] | None = None
    ready_within: float = 120.0
    grace: float = 10.0
    cwd: Path | None = None
    waits_for: str = ""
    final: frozenset[int] = frozenset()


@dataclass(frozen=True)
class PartChange:
    """Something happened to a part: ``what`` is started, waiting, ready, ended, restarting or stopped."""

    part: str
    what: str
    detail: str = ""


class Supervisor:
    """Starts, watches and ends ``parts``; their output goes to ``logs``/NAME.log.

    Use ``run()`` from a command, or as a context manager (``start``/``stop``) from code that does something
    itself. ``tell`` is called from the supervisor's thread.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        logs: Path,
        *,
        tell: Callable[[PartChange], None] | None = None,
        policy: RestartPolicy | None = None,
        rotation: Rotation | None = None,
    ) -> None:
        with writing(logs):
            logs.mkdir(parents=True, exist_ok=True)
        self._tell = tell or (lambda change: None)
        self._rotation = rotation or Rotation()
        self._children = [_Child(part, logs, policy or RestartPolicy(), self._tell) for part in parts]
        self._thread: threading.Thread | None = None
        self._up = threading.Event()
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._over = threading.Event()
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Start every part, each when the one before it is ready.

        Raises:
            Unavailable: a part cannot be kept running; all others are ended by then.
        """
        self._thread = threading.Thread(target=self._watch, name="skald-supervisor", daemon=True)
        self._thread.start()
        self._wait(self._up)

    def wait(self) -> None:
        """Block until ``stop`` or ``request_stop`` has ended all parts; raises as ``start`` does."""
        self._wait(self._over)

    def stop(self) -> None:
        """End all parts, the last one first; returns when no process is left."""
        self._stopping.set()
        if self._thread is not None:
            self._over.wait()
            self._thread.join()

    def request_stop(self) -> None:
        """``stop`` without waiting; a second call cuts everybody's grace short. Safe in a signal handler."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    def pids(self) -> dict[str, int]:
        """Process ids of the parts that run now."""
        return {child.part.name: pid for child in self._children if (pid := child.pid) is not None}

    def log_of(self, part: str) -> Path:
        """The file that holds a part's output."""
        return next(child.log for child in self._children if child.part.name == part)

    def run(self, when_up: Callable[[], None] | None = None) -> None:
        """Start, call ``when_up``, keep all running until SIGINT, SIGTERM or SIGHUP. Main thread only."""

        def on_signal(number: int, frame: FrameType | None) -> None:
            self.request_stop()

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, on_signal) for number in numbers}
        try:
            self.start()
            if when_up is not None and not self._stopping.is_set():
                when_up()
            self.wait()
        finally:
            self.stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def __enter__(self) -> Supervisor:
        try:
            self.start()
        except BaseException:
            self.request_stop()
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait(self, event: threading.Event) -> None:
        # Short waits let the main thread run its signal handlers.
        while not event.wait(0.5) and not self._over.is_set():
            pass
        if self._failure is not None:
            raise self._failure

    def _watch(self) -> None:
        try:
            self._keep_running()
        except BaseException as error:
            self._failure = error
        finally:
            for child in reversed(self._children):
                child.stop(self._hurry)
            self._over.set()
            self._up.set()

    def _keep_running(self) -> None:
        started = 0
        rotated = time.monotonic()
        while not self._stopping.is_set():
            if started < len(self._children) and all(child.is_ready for child in self._children[:started]):
                started += 1
            for number, child in enumerate(self._children[:started]):
                child.tick(
                    time.monotonic(), may_start=all(before.is_ready for before in self._children[:number])
                )
            if started == len(self._children) and all(child.is_ready for child in self._children):
                self._up.set()
            if time.monotonic() - rotated > _ROTATE_EVERY:
                rotated = time.monotonic()
                for child in self._children:
                    rotate(child.log, self._rotation, time.time())
            self._stopping.wait(_TICK)


class _Child:
    """One part's process, now and after restarts; used by the supervisor's thread only, ``pid`` apart."""

    def __init__(
        self, part: Part, logs: Path, policy: RestartPolicy, tell: Callable[[PartChange], None]
    ) -> None:
        self.part = part
        self.log = logs / f"{part.name}.log"
        self.is_ready = False
        self._policy = policy
        self._tell = tell
        self._process: subprocess.Popen[bytes] | None = None
        self._due = 0.0
        self._since = 0.0
        self._asked = 0.0
        self._ends: list[float] = []
        self._futile = 0
        self._told_waiting = False
        self._logged = 0

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None else None

    def tick(self, now: float, *, may_start: bool) -> None:
        """Raises ``Unavailable`` when the part ends too often."""
        if self._process is None:
            if may_start and now >= self._due:
                self._spawn(now)
        elif (code := self._process.poll()) is not None:
            self._ended(how_of(code), now, code)
        elif not self.is_ready:
            self._ask(now)

    def stop(self, hurry: threading.Event) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        deadline = time.monotonic() + self.part.grace
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        while process.poll() is None and time.monotonic() < deadline and not hurry.is_set():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        in_time = process.poll() is not None
        _kill_group(process)
        self._tell(PartChange(self.part.name, "stopped", "" if in_time else "killed, its grace was over"))

    def _spawn(self, now: float) -> None:
        command = [sys.executable, "-I", "-S", _DIE_WITH_PARENT, str(os.getpid()), *self.part.command]
        self._told_waiting = False
        with writing(self.log), self.log.open("ab") as log:
            self._logged = log.tell()
            self._process = subprocess.Popen(
                command,
                env=dict(self.part.env),
                cwd=self.part.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._since = now
        self.is_ready = False
        self._tell(PartChange(self.part.name, "started", f"pid {self._process.pid}"))

    def _ask(self, now: float) -> None:
        if now - max(self._asked, self._since) < _ASK_EVERY:
            return
        self._asked = now
        if self.part.ready is None or self.part.ready():
            self.is_ready, self._futile = True, 0
            self._tell(PartChange(self.part.name, "ready"))
        elif now - self._since > self.part.ready_within and self._process is not None:
            self._ended(f"was not ready within {self.part.ready_within:g} s", now, None)
        elif now - self._since > _TELL_AFTER and not self._told_waiting:
            self._told_waiting = True
            what = self.part.waits_for or "it starts"
            self._tell(PartChange(self.part.name, "waiting", f"{what}; log: {self.log}"))

    def _ended(self, how: str, now: float, code: int | None) -> None:
        """``code`` as ``Popen`` has it: negative for a signal; ``None``: it was given up."""
        if self._process is not None:
            _kill_group(self._process)
        self._process = None
        self._futile = 0 if self.is_ready else self._futile + 1
        self.is_ready = False
        if code is None or code > 0:
            why = cause(lines_since(self.log, self._logged), free_space(self.log))
            how = f"{how}: {why}" if why else how
        self._tell(PartChange(self.part.name, "ended", how))
        self._ends = [*self._ends[-self._policy.most :], now]
        decision = self._policy.decide(self._ends, now, futile=self._futile, final=code in self.part.final)
        if isinstance(decision, GiveUp):
            raise crash_loop(self.part.name, decision, how, self.log)
        self._due = now + decision.after
        self._tell(PartChange(self.part.name, "restarting", f"in {decision.after:g} s; log: {self.log}"))


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
