"""What is new about tasks and Skalds, as Skalds' events; pure.

The type is in the data and not in an ``event:`` line: the dashboard hears unnamed events only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from skald_bridge.api.views import Skald, exception_of, heartbeat_of
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus
from skald_bridge.domain.mirror import ENDS
from skald_bridge.domain.pulse import Vitals
from skald_bridge.domain.records import TaskDocument


@dataclass(frozen=True)
class LastShown:
    """What clients have been told of a task."""

    heartbeat: int
    status: LifecycleStatus
    error: str | None = None
    exception: str | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDS


def shown(document: TaskDocument, vitals: Vitals) -> LastShown:
    return LastShown(
        heartbeat_of(document, vitals), document.lifecycle, vitals.error, exception_of(document, vitals)
    )


def beaten(before: LastShown, vitals: Vitals) -> LastShown:
    """A live task after one more look at the pulse."""
    beat = vitals.heartbeat if vitals.heartbeat is not None and 0 <= vitals.heartbeat < 200 else 0
    return replace(before, heartbeat=beat, error=vitals.error)


def task_news(task: TaskId, before: LastShown | None, now: LastShown, timestamp: int) -> Iterator[str]:
    """Events of what has changed; ``before`` is ``None`` in a snapshot."""

    def event(kind: str, **data: Any) -> str:
        told = {**data, "lifecycleStatus": now.status.value}
        return _json({"type": kind, "taskId": task, "data": told, "timestamp": timestamp})

    if before is None or (before.heartbeat, before.status) != (now.heartbeat, now.status):
        yield event("task_heartbeat", heartbeat=now.heartbeat)
    if now.error is not None and (before is None or before.error != now.error):
        yield event("task_error", error=now.error)
    if now.exception is not None and (before is None or before.exception != now.exception):
        yield event("task_exception", exception=now.exception)


def skald_news(before: Skald | None, now: Skald, timestamp: int) -> Iterator[str]:
    def event(kind: str, **data: Any) -> str:
        return _json({"type": kind, "skaldId": now.id, "data": data, "timestamp": timestamp})

    tasks = [task.id for task in now.tasks]
    status = "online" if now.online else "offline"
    if before is None or before.online != now.online:
        yield event("skald_status", status=status, taskCount=len(tasks))
    # Skalds' dashboard takes every heartbeat for a sign of life.
    if now.online and (before is None or (before.heartbeat, before.tasks) != (now.heartbeat, now.tasks)):
        yield event("skald_heartbeat", heartbeat=now.heartbeat, status=status, tasks=tasks)


def gone(skald: Skald, timestamp: int) -> str:
    data = {"status": "offline", "taskCount": 0}
    return _json({"type": "skald_status", "skaldId": skald.id, "data": data, "timestamp": timestamp})


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
