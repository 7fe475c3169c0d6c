"""What made a task fail, from what its processes logged; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from skald_bridge.domain.log_entries import LogEntry
from skald_work_pools.messages import NODE_LOGGER

ERROR = 40
"""Level of Python's ``logging.ERROR``."""
LINES = 60
_TRACEBACK = "Traceback (most recent call last)"
_PRINTED = "stderr"
_CLOCKS = timedelta(seconds=5)
"""By which a node's clock may differ from the server's."""


@dataclass(frozen=True)
class Failure:
    """``cause`` is one line; ``details`` what led to it, a traceback as a rule, at most ``LINES`` lines."""

    cause: str
    details: str


def failure_of(log: Sequence[LogEntry], since: datetime | None = None) -> Failure | None:
    """The last thing that went wrong after ``since``, the begin of the attempt; ``None`` where nothing is told.

    ``log`` is oldest first. A logged traceback tells most, then one that was printed, then an error without, then
    the last lines that were printed.
    """
    lines = [
        line for line in log if line.logger != NODE_LOGGER and (since is None or line.at >= since - _CLOCKS)
    ]
    errors = [line.message for line in lines if line.level >= ERROR]
    printed = "\n".join(line.message for line in lines if line.logger == _PRINTED)
    with_traceback = [message for message in errors if _TRACEBACK in message]
    if with_traceback:
        return _failure(with_traceback[-1])
    if _TRACEBACK in printed:
        return _failure(printed[printed.rindex(_TRACEBACK) :])
    if errors:
        return _failure(errors[-1])
    return _failure("\n".join(printed.splitlines()[-10:])) if printed.strip() else None


def _failure(text: str) -> Failure:
    lines = [line for line in text.splitlines() if line.strip()]
    return Failure(_cause(lines), "\n".join(lines[-LINES:]))


def _cause(lines: Sequence[str]) -> str:
    """A traceback's exception, which may go on over several lines: the first after the last frame."""
    frames = [number for number, line in enumerate(lines) if line.startswith(("  File ", _TRACEBACK))]
    if not frames:
        return lines[-1].strip()
    after = [line for line in lines[frames[-1] + 1 :] if not line.startswith(" ")]
    return after[0].strip() if after else lines[-1].strip()
