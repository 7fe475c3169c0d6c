"""One node of a name on one machine."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from pathlib import Path
from types import TracebackType


class NameTaken(RuntimeError):
    """Another node has this name; the message says which and what to do."""


class NodeLock:
    """A locked file; the kernel lets go of it when the process ends, however it ends."""

    def __init__(self, home: Path, pool: str, name: str) -> None:
        slug = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{pool}.{name}")[:80]
        mark = hashlib.sha256(f"{pool}\0{name}".encode()).hexdigest()[:8]
        self._path = home / "run" / f"node-{slug}-{mark}.lock"
        self._name, self._pool = name, pool
        self._descriptor: int | None = None

    def __enter__(self) -> NodeLock:
        """Raises ``NameTaken``."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 64).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            raise NameTaken(
                f"A node named {self._name!r} already runs here in work pool {self._pool!r} "
                f"(process {holder}). Stop it, or start this one with another --name."
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
