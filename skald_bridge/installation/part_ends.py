"""How a part of an installation ended: in words, with its log and its disk."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from skald_bridge.domain.errors import Unavailable
from skald_bridge.installation.restarts import FULL, GiveUp
from skald_bridge.logs import tail

_LOOKED_AT = 40
"""Lines of a log in which the cause of an end is looked for."""
_READ = 65_536


def how_of(code: int) -> str:
    """In words; ``code`` as ``Popen`` has it: negative for a signal."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def crash_loop(name: str, decision: GiveUp, how: str, log: Path) -> Unavailable:
    """The error that names what the part said last, where its log is, and what to do."""
    last = "\n".join(f"    {line}" for line in tail(log, 5))
    times = "once" if decision.count == 1 else f"{decision.count} times"
    often = f"{times} within {decision.seconds:g} s" if decision.seconds is not None else times
    lines = f" Its last lines, in {log}:\n{last}" if last else f" Its log, {log}, is empty."
    full = (free := free_space(log)) is not None and free < FULL
    space = f"Free some space on the disk of {log.parent.parent}, or set SKALD_HOME to a larger one"
    return Unavailable(
        f"The {name} does not stay up: it ended {often}; the last time it {how}.{lines}",
        remedy=f"{space}; then start again." if full else f"Read {log}, mend the cause, start again.",
    )


def lines_since(log: Path, start: int) -> list[str]:
    """The last lines of the log after ``start`` bytes: those of the newest life."""
    try:
        with log.open("rb") as file:
            file.seek(max(start, log.stat().st_size - _READ))
            return file.read().decode(errors="replace").splitlines()[-_LOOKED_AT:]
    except OSError:
        return []


def free_space(log: Path) -> int | None:
    """Bytes on the log's disk; ``None`` where it does not tell."""
    try:
        return shutil.disk_usage(log.parent).free
    except OSError:
        return None


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises ``Unavailable`` where ``path`` cannot be written."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be written: {error.strerror or error}.",
            remedy="Free some space on its disk, or set SKALD_HOME to a larger one.",
        ) from error
