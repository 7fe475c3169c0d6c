"""What tasks leave behind in Prefect: recordings, and artifacts that people look at; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from skald_bridge.domain.ids import TaskId


@dataclass(frozen=True)
class Recording:
    """One finished file of a task's.

    ``id`` follows from task, path and start; ``path`` is a local path or URL, ``start`` timezone-aware UTC,
    ``size`` bytes, ``codec`` such as ``h264/aac``, empty where it is not known.
    """

    id: str
    task: TaskId
    path: str
    start: datetime
    seconds: float
    codec: str = ""
    size: int = 0


@dataclass(frozen=True)
class Artifact:
    """A Prefect artifact of a task's, without its data; of a recording's, ``recording`` is what it tells."""

    task: TaskId
    type: str
    key: str | None = None
    text: str = ""
    recording: Recording | None = None
