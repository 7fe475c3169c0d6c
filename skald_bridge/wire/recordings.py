"""Recordings as documents of MongoDB's ``recordings``, camelCase, times in Unix milliseconds; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.recordings import Recording
from skald_bridge.wire.skalds import to_ms


def recording_json(recording: Recording) -> dict[str, Any]:
    """``start`` is ISO 8601 with microseconds; ``codec`` is null where it is not known."""
    return {
        "id": recording.id,
        "taskId": recording.task,
        "path": recording.path,
        "startDateTime": to_ms(recording.start),
        "endDateTime": to_ms(recording.start + timedelta(seconds=recording.seconds)),
        "durationSeconds": recording.seconds,
        "codec": recording.codec or None,
        "size": recording.size,
        "start": recording.start.isoformat(),
    }


def recording_of(data: Mapping[str, Any]) -> Recording:
    """The inverse of ``recording_json``."""
    return Recording(
        id=data["id"],
        task=TaskId(data["taskId"]),
        path=data["path"],
        start=datetime.fromisoformat(data["start"]),
        seconds=data["durationSeconds"],
        codec=data["codec"] or "",
        size=data["size"],
    )
