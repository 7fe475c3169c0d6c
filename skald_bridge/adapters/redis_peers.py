"""Skalds' own nodes, by what they write into Redis."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from skald_bridge.adapters.redis_pulse import LAST_ACTIVITY, MODES, RedisPulse
from skald_bridge.domain.guests import Guest
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.pulse import NodeMode


class RedisPeers:
    """The ``Peers`` port, over the pulse's connection."""

    def __init__(self, pulse: RedisPulse) -> None:
        self._pulse = pulse

    async def nodes(self) -> list[Guest]:
        async with self._pulse.answering() as redis:
            async with redis.pipeline(transaction=False) as pipe:
                pipe.hgetall(LAST_ACTIVITY)
                pipe.hgetall(MODES)
                seen, modes = await pipe.execute()
            names = sorted(seen)
            async with redis.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.lrange(f"skalds:{name}:allow-task-class-name", 0, -1)
                    pipe.get(f"skalds:{name}:all-task")
                told = await pipe.execute() if names else []
        return [
            Guest(
                NodeId(name),
                NodeMode.EDGE if modes.get(name) == NodeMode.EDGE else NodeMode.NODE,
                _moment(seen[name]),
                tuple(told[2 * number]),
                _tasks(told[2 * number + 1]),
            )
            for number, name in enumerate(names)
        ]

    async def forget(self, task: TaskId) -> None:
        async with self._pulse.answering() as redis:
            await redis.delete(f"task:{task}:heartbeat", f"task:{task}:exception")


def _moment(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(text) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _tasks(text: str | None) -> frozenset[TaskId]:
    try:
        found: Any = json.loads(text or "{}")
        return frozenset(TaskId(str(task["id"])) for task in found.get("tasks", ()))
    except (ValueError, TypeError, AttributeError, KeyError):
        return frozenset()
