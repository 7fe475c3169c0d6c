"""What a task and its nodes said, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class LogEntry:
    """One log record of a task. ``level`` is a number of Python's ``logging``; ``message`` may have many lines.

    ``logger``: who said it; ``stdout`` and ``stderr`` are what the task's process printed. ``subtask`` is an id.
    """

    id: str
    at: datetime
    level: int
    logger: str
    message: str
    subtask: str | None = None
