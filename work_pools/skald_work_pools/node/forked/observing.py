"""Watches one load of user code: what it reads, and what it does that no later start would repeat.

Audit hooks and a profile function see it; both stay in this process, which is thrown away afterwards. Only what
user code does itself counts: a call is its own when the innermost module body on the stack is the user's, and
no frame on the way is one of the libraries that look around by themselves (``callers``).
"""

from __future__ import annotations

import os
import posix
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from types import FrameType
from typing import Any

from skald_work_pools.gpu_shares import FRACTION, MEMORY, VISIBLE
from skald_work_pools.node.forked.callers import (
    INNER,
    WAITING,
    Callers,
    is_import_machinery,
    place,
    through_tempfile,
)
from skald_work_pools.node.forked.findings import Finding
from skald_work_pools.node.forked.installed import is_installed
from skald_work_pools.node.forked.interpreter_start import outranking
from skald_work_pools.node.forked.patches import exit_handlers, looks_at_paths, reads_of_environment
from skald_work_pools.node.forked.stamps import Reads, kind_of, link_of, listing, modules_in, stamp_of
from skald_work_pools.task_type import Start

PER_RUN = frozenset({"PREFECT__FLOW_RUN_ID", "PREFECT__FLOW_RUN_NAME", VISIBLE, MEMORY, FRACTION})
"""Variables that a process has only once its run is known."""
_CLOCKS: frozenset[Any] = frozenset(
    {
        time.time,
        time.time_ns,
        time.monotonic,
        time.monotonic_ns,
        time.perf_counter,
        time.perf_counter_ns,
        time.localtime,
        time.gmtime,
        time.ctime,
        time.strftime,
        datetime.now,
        datetime.utcnow,
        datetime.today,
        date.today,
    }
)
_OWN: frozenset[Any] = frozenset({posix.getpid, posix.urandom, threading.get_ident, threading.get_native_id})
_EFFECTS = {
    "os.remove": "removes files",
    "os.rename": "renames files",
    "os.rmdir": "removes folders",
    "os.link": "makes links",
    "os.symlink": "makes links",
    "os.truncate": "writes files",
    "os.chmod": "changes the modes of files",
    "os.chown": "changes the owners of files",
    "os.kill": "sends signals",
    "os.killpg": "sends signals",
}
_STARTS_A_PROCESS = frozenset({"subprocess.Popen", "os.system", "os.posix_spawn", "os.fork", "os.forkpty"})
_TALKS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"})
_LIVE = ("/proc/", "/sys/")


class Observer:
    """``package``: the user's, see ``Callers``. ``watching`` may be entered once in a process."""

    def __init__(self, package: str) -> None:
        self._callers = Callers(package)
        self.reads = Reads()
        self.findings: dict[str, Finding] = {}
        self._tried: set[str] = set()
        self._active = False
        self._numpy: bytes | None = None

    @contextmanager
    def watching(self) -> Generator[None, None, None]:
        self._active = True
        self._callers.load_here()
        sys.addaudithook(self._audit)
        with ExitStack() as stack:
            stack.enter_context(looks_at_paths(self._looked_at))
            stack.enter_context(reads_of_environment(self._read_variable))
            stack.enter_context(exit_handlers(self._registered))
            stack.callback(sys.setprofile, None)
            sys.setprofile(self._profile)
            try:
                yield
            finally:
                self._active = False

    def finish(self, before: frozenset[str]) -> None:
        """Stamp what was imported; ``before`` names the modules that were there when the load began."""
        if self._numpy is not None and _numpy_state() != self._numpy:
            self.note("imported", "its import seeds or uses numpy.random")
        new = {name: module for name, module in list(sys.modules.items()) if name not in before}
        for module in new.values():
            file = getattr(module, "__file__", None)
            if isinstance(file, str):
                self._read(file)
        folders = {entry or os.getcwd() for entry in sys.path if isinstance(entry, str)}
        self._search(sorted(folders), {name for name in self._tried if "." not in name})
        missing: dict[str, set[str]] = {}
        for name in self._tried:
            parent, _, last = name.rpartition(".")
            if parent and name not in sys.modules:
                missing.setdefault(parent, set()).add(last)
        for parent, names in sorted(missing.items()):
            paths = getattr(sys.modules.get(parent), "__path__", None)
            if paths is not None:
                self._search([str(path) for path in paths], names)

    def look_for(self, names: frozenset[str]) -> None:
        """Note what in the working directory comes before modules that are found as an interpreter starts."""
        here = os.getcwd()
        self._search([here], set(names))
        if found := outranking(here, names):
            why = f"{os.path.basename(found[0])} in its folder comes before a module of Python or Prefect"
            self.note("cold", why)

    def note(self, start: Start, why: str) -> None:
        self.findings.setdefault(why, Finding(start, why))

    def _search(self, folders: list[str], names: set[str]) -> None:
        for folder in folders if names else ():
            full = os.path.abspath(folder)
            self.reads.searched.append((full, sorted(names), modules_in(full, names)))

    def _read(self, path: str) -> None:
        full = os.path.abspath(path)
        if full in self.reads.files or full.startswith(_LIVE):
            return
        self._inactive(lambda: self.reads.files.setdefault(full, stamp_of(full)))

    def _inactive(self, look: Callable[[], Any]) -> None:
        """Look without being seen."""
        active, self._active = self._active, False
        try:
            look()
        finally:
            self._active = active

    def _looked_at(self, how: str, path: Any, frame: FrameType) -> None:
        if not self._active:
            return
        full = os.path.abspath(os.fsdecode(path))
        if full.startswith(_LIVE) or is_installed(full) or not self._callers.is_users(frame):
            return

        def look() -> None:
            if how in ("lstat", "readlink"):
                self.reads.links.setdefault(full, link_of(full))
            elif kind_of(full) == "other" and how == "stat":
                self.reads.files.setdefault(full, stamp_of(full))
            else:
                self.reads.kinds.setdefault(full, kind_of(full))

        self._inactive(look)

    def _read_variable(self, name: str, frame: FrameType) -> None:
        if self._active and name in PER_RUN and self._callers.is_users(frame, ()):
            self.note("late", f"its import reads {name}, which a run brings with it")

    def _registered(self, frame: FrameType) -> None:
        """A library's own run in a fork as in a fresh process; what user code cleans up may be a run's own."""
        by_weakref = frame.f_globals.get("__name__") == "weakref"  # finalizers are looked at afterwards
        if self._active and not by_weakref and self._callers.is_users(frame):
            self.note("late", "its import leaves exit handlers")

    def _profile(self, frame: FrameType, event: str, function: Any) -> None:
        if event == "return" and frame.f_code.co_name == "<module>":
            if frame.f_globals.get("__name__") == "numpy.random":
                self._numpy = _numpy_state()
            return
        if event != "c_call":
            return
        try:
            clock, own = function in _CLOCKS, function in _OWN
        except TypeError:
            return
        if clock and self._callers.is_users(frame, INNER + WAITING):
            self.note("late", f"its import reads the clock ({place(frame)})")
        elif own and self._callers.is_users(frame):
            self.note("imported", f"its import asks for what is one process's own ({place(frame)})")

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._active:
            return
        match event:
            case "import":
                self._tried.add(arguments[0])
            case "open":
                self._opened(arguments[0], arguments[2] if isinstance(arguments[2], int) else 0)
            case "os.listdir" | "os.scandir":
                self._listed(arguments[0])
            case "sqlite3.connect":
                if isinstance(arguments[0], str) and arguments[0] != ":memory:":
                    self._read(arguments[0].removeprefix("file:").partition("?")[0])
            case "os.mkdir":
                self._made_folder(arguments[0])
            case _:
                self._did(event)

    def _opened(self, path: Any, flags: int) -> None:
        if isinstance(path, int):
            return
        try:
            full = os.path.abspath(os.fsdecode(path))
        except (TypeError, ValueError):
            return
        frame = sys._getframe(2)
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
            if is_import_machinery(frame) or full == os.devnull or not self._callers.is_users(frame):
                return
            if through_tempfile(frame):
                self.note("imported", "its import makes temporary files")
            else:
                self.note("late", f"its import writes {full}")
            return
        if full.startswith(_LIVE):
            if self._callers.is_users(frame):
                self.note("late", f"its import reads {full}")
            return
        if full.startswith("/dev/"):
            return
        self._read(full)
        folder, name = os.path.split(full)
        if name.endswith(".pyc") and os.path.basename(folder) == "__pycache__":
            self._read(os.path.join(os.path.dirname(folder), name.split(".")[0] + ".py"))

    def _listed(self, path: Any) -> None:
        if path is None or isinstance(path, int):
            return
        full = os.path.abspath(os.fsdecode(path))
        frame = sys._getframe(2)
        if is_installed(full) or is_import_machinery(frame) or not self._callers.is_users(frame):
            return
        self._inactive(lambda: self.reads.folders.setdefault(full, listing(full)))

    def _made_folder(self, path: Any) -> None:
        full = os.path.abspath(os.fsdecode(path))
        frame = sys._getframe(2)
        if is_import_machinery(frame) or not self._callers.is_users(frame):
            return
        if through_tempfile(frame):
            self.note("imported", "its import makes temporary files")
        else:
            self.reads.kinds[full] = "dir"

    def _did(self, event: str) -> None:
        if event in _TALKS:
            self.note("late", "its import talks to the network")
        elif event in _STARTS_A_PROCESS:
            if self._callers.is_users(sys._getframe(2)):
                self.note("late", "its import starts a process")
        elif what := _EFFECTS.get(event):
            frame = sys._getframe(2)
            if self._callers.is_users(frame) and not through_tempfile(frame):
                self.note("late", f"its import {what}")


def _numpy_state() -> bytes:
    """Of numpy's global generator, which is seeded when it is imported."""
    _, keys, place, *_ = sys.modules["numpy.random.mtrand"]._rand.get_state(legacy=True)
    return bytes(keys.tobytes()) + int(place).to_bytes(2, "big")
