"""Journal, archive, cursor and pulse in this process's memory; the pulse is the embedded one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from skald_bridge.domain.effects import EndPulse
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.pulse import SILENT, NodeBeat, Vitals

BEAT_TTL = timedelta(seconds=8)
END_TTL = timedelta(seconds=3600)
COUNTER = 200
"""Heartbeats count modulo this, so that consecutive ones differ; it is also the beat of a finished task."""


@dataclass(frozen=True)
class _Kept:
    value: int
    until: datetime
    exception: str | None = None
    ended: datetime | None = None


class MemoryPulse:
    """The ``Pulse`` port; what has expired is forgotten at the next write."""

    def __init__(self) -> None:
        self._nodes: dict[NodeId, _Kept] = {}
        self._tasks: dict[TaskId, _Kept] = {}
        self._errors: dict[TaskId, tuple[str, datetime]] = {}

    async def beat(self, nodes: Sequence[NodeBeat], tasks: Sequence[TaskId], now: datetime) -> str | None:
        self._forget(now)
        self._nodes |= {node.id: _next(self._nodes.get(node.id), now) for node in nodes}
        self._tasks |= {id: _next(self._tasks.get(id), now) for id in tasks}
        return None

    async def end(self, ends: Sequence[EndPulse], now: datetime) -> None:
        self._tasks |= {end.task: _Kept(end.value, now + END_TTL, end.exception, ended=now) for end in ends}

    async def note_error(self, task: TaskId, message: str, now: datetime) -> None:
        self._errors[task] = (message, now + END_TTL)

    async def vitals(self, tasks: Sequence[TaskId], now: datetime) -> dict[TaskId, Vitals]:
        found = {task: self._vitals(task, now) for task in tasks}
        return {task: vitals for task, vitals in found.items() if vitals != SILENT}

    async def nodes(self, now: datetime) -> dict[NodeId, int]:
        return {id: kept.value for id, kept in self._nodes.items() if kept.until > now}

    def _vitals(self, task: TaskId, now: datetime) -> Vitals:
        kept = self._tasks.get(task)
        beats = kept is not None and kept.until > now
        message, until = self._errors.get(task, (None, now))
        return Vitals(
            kept.value if kept is not None and beats else None,
            kept.exception if kept is not None and beats else None,
            message if until > now else None,
        )

    def _forget(self, now: datetime) -> None:
        self._nodes = {id: kept for id, kept in self._nodes.items() if kept.until > now}
        self._tasks = {id: kept for id, kept in self._tasks.items() if kept.until > now}
        self._errors = {id: kept for id, kept in self._errors.items() if kept[1] > now}


def _next(kept: _Kept | None, now: datetime) -> _Kept:
    """A task that ended and runs again begins to count anew; a beat from before its end comes too late."""
    if kept is None:
        return _Kept(0, now + BEAT_TTL)
    if kept.ended is None:
        return _Kept((kept.value + 1) % COUNTER, now + BEAT_TTL)
    return kept if now <= kept.ended else _Kept(0, now + BEAT_TTL)
