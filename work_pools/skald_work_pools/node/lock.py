"""One node of a name on one machine, and what it knows of those that had the name here before."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class NameTaken(RuntimeError):
    """Another node has this name; the message says which and what to do."""


class NodeLock:
    """A locked file; the kernel lets go of it when the process ends, however it ends.

    The file keeps the ids of the lives that held it, a life being one start of a node: whoever holds the lock
    knows that the lives before it have ended, unless the file came from another machine with a copy of its disk.
    """

    def __init__(self, home: Path, pool: str, name: str) -> None:
        slug = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{pool}.{name}")[:80]
        mark = hashlib.sha256(f"{pool}\0{name}".encode()).hexdigest()[:8]
        self._path = home / "run" / f"node-{slug}-{mark}.lock"
        self._name, self._pool = name, pool
        self._descriptor: int | None = None
        self._boot = boot_id()
        self.lives: dict[str, str] = {}
        """Earlier lives, with the boot of the machine that each was seen on."""

    @property
    def dead(self) -> frozenset[str]:
        """Earlier lives that ended under this kernel, so that nothing of them runs."""
        return frozenset(life for life, boot in self.lives.items() if boot and boot == self._boot)

    def __enter__(self) -> NodeLock:
        """Raises ``NameTaken``."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        before = _content(os.pread(descriptor, 65536, 0))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise NameTaken(
                f"A node named {self._name!r} already runs here in work pool {self._pool!r} "
                f"(process {before.get('pid', 'unknown')}). Stop it, or start this one with another --name."
            ) from None
        lives = _content(os.pread(descriptor, 65536, 0)).get("lives")
        self.lives = {str(life): str(boot) for life, boot in lives.items()} if isinstance(lives, dict) else {}
        self._descriptor = descriptor
        self._write(self.lives)
        return self

    def claiming(self, life: str) -> None:
        """This life is about to claim the name: if it dies on the way, the next one knows it as well."""
        self._write({**self.lives, life: self._boot})

    def claimed(self, life: str) -> None:
        """The name is this life's; those before it are of no more interest."""
        self._write({life: self._boot})

    def refused(self) -> None:
        """The name is somebody else's: this life never had it."""
        self._write(self.lives)

    def _write(self, lives: dict[str, str]) -> None:
        assert self._descriptor is not None
        text = json.dumps({"pid": os.getpid(), "lives": lives}).encode() + b"\n"
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def boot_id() -> str:
    """Of the running kernel: another one after each boot, and on every machine."""
    with suppress(OSError):
        return _BOOT_ID.read_text().strip()
    return ""


def _content(text: bytes) -> dict[str, object]:
    with suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, dict):
            return found
    return {}
