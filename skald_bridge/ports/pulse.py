"""Heartbeats."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from skald_bridge.domain.effects import EndPulse
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.pulse import NodeBeat, Vitals


class Pulse(Protocol):
    """Heartbeats as Skalds reads them: counters modulo 200, then 200 finished, -1 failed, -2 cancelled.

    A beat lives a period and 5 seconds, all else an hour. Methods raise ``Unavailable``.
    """

    async def beat(self, nodes: Sequence[NodeBeat], tasks: Sequence[TaskId], now: datetime) -> str | None:
        """One period's beats of what is alive at ``now``; a task that ended then or later keeps its end.

        Returns what the store refused of it, and why: a key of a type that Skalds does not write, say.
        """
        ...

    async def end(self, ends: Sequence[EndPulse], now: datetime) -> None:
        """The last heartbeats of tasks."""
        ...

    async def note_error(self, task: TaskId, message: str, now: datetime) -> None:
        """An error that did not end the task, for people to see."""
        ...

    async def vitals(self, tasks: Sequence[TaskId], now: datetime) -> dict[TaskId, Vitals]:
        """The heartbeat, what ended it, and errors that did not, by task; what has expired is missing."""
        ...

    async def nodes(self, now: datetime) -> dict[NodeId, int]:
        """Heartbeats of the nodes that are alive."""
        ...
