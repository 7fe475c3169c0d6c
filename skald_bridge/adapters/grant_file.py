"""The fleet's grants in a file beside the journal: a line for each grant and each end, written as it is said."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from skald_bridge.domain.placements import NOTHING, Kept
from skald_work_pools.needs import Needs

LONG = 32 * 2**20
"""Bytes at which the file is looked at for what is over."""
_log = logging.getLogger("skald_bridge.grants")


class GrantFile:
    """The ``GrantLog`` port. A line is with the kernel when a method returns: it outlives SIGKILL, not the power.

    The file is opened at the first grant.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._size, self._shorten_at = 0, LONG
        self._failing = False

    def __enter__(self) -> GrantFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def read(self) -> list[Kept]:
        try:
            lines = self._path.read_bytes().splitlines() if self._path.exists() else []
        except OSError as error:
            self._tell(error)
            return []
        found: dict[str, Kept] = {}
        for line in lines:
            task, kept = _parsed(line)
            found.pop(task, None)
            if kept is not None:
                found[task] = kept
        return list(found.values())

    def granted(self, kept: Kept) -> None:
        self._append(_line(kept))

    def ended(self, task_id: str) -> None:
        self._append(orjson.dumps({"task": task_id}) + b"\n")

    def shorten(self, live: Callable[[], Iterable[Kept]]) -> None:
        if self._size < self._shorten_at:
            return
        text = b"".join(map(_line, live()))
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            new.write_bytes(text)
            self._close()
            new.replace(self._path)
        except OSError as error:
            self._tell(error)
        self._size = len(text)
        self._shorten_at = max(LONG, 2 * len(text))

    def _append(self, line: bytes) -> None:
        try:
            if self._descriptor is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
                self._descriptor = os.open(self._path, flags, 0o600)
                self._size = os.fstat(self._descriptor).st_size
                if self._size:
                    # The last line of a process that was killed may have no end.
                    line = b"\n" + line
            written = os.write(self._descriptor, line)
            self._size += written
            if written < len(line):
                raise OSError("the disk is full")
        except OSError as error:
            self._tell(error)
        else:
            self._failing = False

    def _tell(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            _log.warning(
                "%s cannot be written or read, grants are kept in memory only: %s", self._path, error
            )

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _line(kept: Kept) -> bytes:
    found: dict[str, Any] = {
        "task": kept.task_id,
        "worker": kept.worker_id,
        "address": kept.address,
        "expires": kept.expires.timestamp(),
    }
    if kept.required:
        found["required"] = kept.required
    if kept.forbidden:
        found["forbidden"] = kept.forbidden
    if kept.needs is not NOTHING:
        found["needs"] = kept.needs.not_zero()
    return orjson.dumps(found) + b"\n"


def _parsed(line: bytes) -> tuple[str, Kept | None]:
    """The task, and its grant unless it ended; a line that is damaged tells of nothing."""
    try:
        found = orjson.loads(line)
        if "worker" not in found:
            return found["task"], None
        return found["task"], Kept(
            found["task"],
            found["worker"],
            found["address"],
            datetime.fromtimestamp(found["expires"], UTC),
            tuple(found.get("required", ())),
            tuple(found.get("forbidden", ())),
            Needs.model_validate(found["needs"]) if "needs" in found else NOTHING,
        )
    except (ValueError, KeyError, TypeError):
        return "", None
