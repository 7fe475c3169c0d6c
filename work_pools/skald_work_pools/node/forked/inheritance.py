"""What a fork of this process would share with it, or inherit from it: looked at before and after a load.

``ProcessState.take()`` before, ``ProcessState.take()`` after; ``compare`` names what the load has left behind.
"""

from __future__ import annotations

import gc
import os
import random
import resource
import signal
import socket
import stat
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skald_work_pools.node.forked.findings import Finding
from skald_work_pools.node.forked.processes import children

_LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_HARMLESS = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_GENERATORS = ("Generator", "RandomState")


@dataclass(frozen=True)
class ProcessState:
    """The state of this process that a fork takes along."""

    threads: int
    descriptors: frozenset[tuple[int, str]]
    shared_maps: int
    children: frozenset[int]
    finalizers: frozenset[int]
    temporary: frozenset[int]
    after_fork: int
    generators: frozenset[int]
    random_state: int
    signals: tuple[Any, ...]
    limits: tuple[Any, ...]
    timers: tuple[Any, ...]
    socket_timeout: float | None

    @classmethod
    def take(cls) -> ProcessState:
        """Forks once: threads whose library ends them before a fork, and starts them again, are not counted."""
        gc.collect()
        _fork_and_forget()
        return cls(
            threads=len(os.listdir("/proc/self/task")),
            descriptors=frozenset(_descriptors()),
            shared_maps=_shared_maps(),
            children=frozenset(children(os.getpid())),
            finalizers=frozenset(map(id, _finalizers())),
            temporary=frozenset(map(id, _temporary_folders())),
            after_fork=_after_fork(),
            generators=frozenset(map(id, _generators())),
            random_state=hash(random.getstate()),
            signals=tuple(signal.getsignal(number) for number in signal.valid_signals()),
            limits=tuple(resource.getrlimit(limit) for limit in _LIMITS),
            timers=tuple(signal.getitimer(timer) for timer in _TIMERS),
            socket_timeout=socket.getdefaulttimeout(),
        )


def compare(before: ProcessState, after: ProcessState) -> Iterator[Finding]:
    """What forbids forking this process's load, the coldest finding not necessarily first."""
    yield from _of_descriptors(after.descriptors - before.descriptors)
    if after.children - before.children:
        yield Finding("late", "its import leaves a process running")
    if after.timers != before.timers:
        yield Finding("late", "its import sets a timer")
    if after.threads > before.threads:
        names = sorted(each.name for each in threading.enumerate() if each is not threading.main_thread())
        yield Finding("imported", f"its import starts threads ({', '.join(names) or 'native ones'})")
    if after.finalizers - before.finalizers:
        yield Finding("late", "its import leaves finalizers")
    changed = {
        "its import maps memory that forks would share": after.shared_maps > before.shared_maps,
        "its import makes temporary folders": bool(after.temporary - before.temporary),
        "its import makes what knows its process": after.after_fork > before.after_fork,
        "its import makes random generators": bool(after.generators - before.generators),
        "its import seeds or uses random": after.random_state != before.random_state,
        "its import changes signal handlers": after.signals != before.signals,
        "its import changes resource limits": after.limits != before.limits,
        "its import sets a default timeout for sockets": after.socket_timeout != before.socket_timeout,
    }
    for why, so in changed.items():
        if so:
            yield Finding("imported", why)


def _fork_and_forget() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _of_descriptors(new: frozenset[tuple[int, str]]) -> Iterator[Finding]:
    for descriptor, target in sorted(new):
        if target.startswith(("/dev/nvidia", "/dev/dri/", "/dev/kfd", "/dev/video")):
            yield Finding("late", f"its import opens a device ({target})")
        elif _listens(descriptor):
            yield Finding("late", "its import listens on a socket")
        else:
            kind = target.partition(":")[0] if ":[" in target else target
            yield Finding("imported", f"its import leaves open: {kind}")
    if new and _holds_locks():
        yield Finding("late", "its import locks a file")


def _descriptors() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            target = str(entry.readlink())
            if target not in _HARMLESS:
                yield int(entry.name), target


def _listens(descriptor: int) -> bool:
    with suppress(OSError):
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            with socket.socket(fileno=os.dup(descriptor)) as copy:
                return bool(copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    return False


def _holds_locks() -> bool:
    with suppress(OSError):
        me = str(os.getpid())
        return any(me in line.split() for line in Path("/proc/locks").read_text().splitlines())
    return False


def _shared_maps() -> int:
    """Mappings that this process may write and a fork would share."""
    with suppress(OSError):
        return sum(
            line.split(None, 2)[1] == "rw-s" for line in Path("/proc/self/maps").read_text().splitlines()
        )
    return 0


def clean_up_temporary() -> None:
    """Remove what ``tempfile`` has made here; no exit handler of user code runs."""
    for finalizer in list(_temporary_folders()):
        finalizer()
    for each in gc.get_objects():
        if isinstance(each, tempfile._TemporaryFileWrapper):
            each.close()


def _finalizers() -> Iterator[Any]:
    """User code's own, run when a process ends."""
    temporary = set(_temporary_folders())
    yield from (each for each in _weak_finalizers() if each not in temporary)
    if util := sys.modules.get("multiprocessing.util"):
        yield from list(util._finalizer_registry.values())


def _temporary_folders() -> Iterator[Any]:
    """Finalizers of ``tempfile.TemporaryDirectory``."""
    for finalizer, info in _weak_finalizers().items():
        if getattr(info.func, "__self__", None) is tempfile.TemporaryDirectory:
            yield finalizer


def _weak_finalizers() -> dict[Any, Any]:
    return dict(weakref.finalize._registry)  # type: ignore[attr-defined]


def _after_fork() -> int:
    util = sys.modules.get("multiprocessing.util")
    return len(util._afterfork_registry) if util else 0


def _generators() -> Iterator[Any]:
    """Generators of ``random`` and numpy but for the ones that every process has, or makes anew in a fork."""
    names = getattr(tempfile, "_name_sequence", None)
    shared = {
        id(random._inst),
        id(getattr(names, "_rng", None)),
        id(getattr(sys.modules.get("numpy.random.mtrand"), "_rand", None)),
    }
    for each in gc.get_objects():
        kind = type(each)
        numpys = kind.__name__ in _GENERATORS and kind.__module__.startswith("numpy.random")
        pythons = isinstance(each, random.Random) and kind is not random.SystemRandom
        if (numpys or pythons) and id(each) not in shared:
            yield each
