"""Skalds' own nodes, by what they write into Redis."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from cachetools import FIFOCache
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError

from skald_bridge.adapters.redis_errors import is_everybodys
from skald_bridge.adapters.redis_pulse import LAST_ACTIVITY, MODES, RedisPulse
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.pulse import NodeMode
from skald_bridge.domain.skalds_nodes import SkaldsNode

_log = logging.getLogger("skald_bridge.guests")


class RedisPeers:
    """The ``Peers`` port, over the pulse's connection."""

    def __init__(self, pulse: RedisPulse) -> None:
        self._pulse = pulse
        self._odd: FIFOCache[str, str] = FIFOCache(1000)

    async def nodes(self) -> list[SkaldsNode]:
        """A node whose keys are of another type, or say what no Skald says, runs no task type for us."""
        async with self._pulse.answering() as redis:
            async with redis.pipeline(transaction=False) as pipe:
                pipe.hgetall(LAST_ACTIVITY)
                pipe.hgetall(MODES)
                seen, modes = (each if isinstance(each, dict) else {} for each in await _replies(pipe))
            names = sorted(seen)
            async with redis.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.lrange(f"skalds:{name}:allow-task-class-name", 0, -1)
                    pipe.get(f"skalds:{name}:all-task")
                replies = await _replies(pipe) if names else []
        guests = []
        for number, name in enumerate(names):
            task_types, tasks = replies[2 * number : 2 * number + 2]
            self._note(name, task_types, tasks)
            guests.append(
                SkaldsNode(
                    NodeId(name),
                    NodeMode.EDGE if modes.get(name) == NodeMode.EDGE else NodeMode.NODE,
                    _moment(seen[name]),
                    tuple(task_types) if isinstance(task_types, list) else (),
                    _tasks(tasks),
                )
            )
        return guests

    def _note(self, name: str, *replies: Any) -> None:
        odd = next((str(reply) for reply in replies if isinstance(reply, RedisError)), "")
        if odd and self._odd.get(name) != odd:
            _log.warning(
                "Skalds node %s cannot be used: its keys in Redis are of other types: %s",
                name,
                odd,
            )
        self._odd[name] = odd

    async def forget(self, task: TaskId) -> None:
        async with self._pulse.answering() as redis:
            await redis.delete(f"task:{task}:heartbeat", f"task:{task}:exception")


async def _replies(pipe: Pipeline) -> list[Any]:
    """Errors of single keys among them."""
    replies: list[Any] = await pipe.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, RedisError) and is_everybodys(reply):
            raise reply
    return replies


def _moment(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(text) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _tasks(text: Any) -> frozenset[TaskId]:
    try:
        found: Any = json.loads(text or "{}")
        return frozenset(TaskId(str(task["id"])) for task in found.get("tasks", ()))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return frozenset()
