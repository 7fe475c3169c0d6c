"""The pulse in Redis, under Skalds' own keys; one pipeline a period."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Self, TypeGuard

from pydantic import SecretStr
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import NoPermissionError, RedisError

from skald_bridge.adapters.redis_errors import is_everybodys, readable, remedy
from skald_bridge.domain.effects import EndPulse
from skald_bridge.domain.errors import Unavailable, Undeliverable
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.pulse import SILENT, NodeBeat, Vitals
from skald_bridge.wire.skalds import to_ms

LAST_ACTIVITY = "skalds:hash"
MODES = "skalds:mode:hash"
COUNTER = 200
_MARGIN = 5
"""Seconds that a beat outlives its period."""
_REPEATED = timedelta(seconds=30)
_RACING = timedelta(seconds=5)
"""For the end of a task of which no beat was sent lately: only one under way can come after it."""
_ANSWER_SECONDS = 5.0
_TOGETHER = 1000
"""Tasks read by one command: a longer one would hold up Redis' other clients."""


@dataclass(frozen=True)
class RedisConfig:
    """Where Redis is. ``ca_file`` alone is no TLS; without it ``tls`` trusts the system's authorities."""

    host: str
    port: int = 6379
    username: str | None = None
    password: SecretStr | None = None
    tls: bool = False
    ca_file: Path | None = None
    db: int = 0

    def client(self) -> Redis:
        """Connects at first use. One retry: a server may have closed the connection while it was idle."""
        secret = self.password.get_secret_value() if self.password else None
        security: dict[str, Any] = {"ssl": True} if self.tls else {}
        if self.tls and self.ca_file is not None:
            security["ssl_ca_certs"] = str(self.ca_file)
        return Redis(
            host=self.host,
            port=self.port,
            db=self.db,
            username=self.username or None,
            password=secret or None,
            protocol=2,  # servers before 6 know no other
            decode_responses=True,
            encoding_errors="replace",
            socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionLost,)),
            **security,
        )


class _Fields(Enum):
    """How the server lets one field of a hash expire."""

    HSETEX = "HSETEX"
    HEXPIRE = "HEXPIRE"
    NOT = "not at all"


@dataclass(frozen=True)
class _End:
    told: EndPulse
    at: datetime
    repeated: bool
    """A beat may have been sent before it that is carried out after it."""


class RedisPulse:
    """The ``Pulse`` port. Whether something has expired is up to the server's clock, not to ``now``.

    Where fields of hashes cannot expire (Redis before 7.4), the whole hash does, and the fields of nodes that
    have been away for as long are removed.
    """

    def __init__(self, config: RedisConfig, *, period: float = 3.0, key_ttl: int = 3600) -> None:
        """``period``: seconds between beats; ``key_ttl``: seconds that all but heartbeats live."""
        self._config = config
        self._redis = config.client()
        self._beat_ms = int((period + _MARGIN) * 1000)
        self._unit = min(1.0, period)
        self._ttl = key_ttl
        self._count = 0
        self._fields: _Fields | None = None
        self._lock = asyncio.Lock()
        self._beating: set[TaskId] = set()
        self._sent: dict[TaskId, datetime] = {}
        self._ends: dict[TaskId, _End] = {}
        self._stale: tuple[list[str], list[str]] = ([], [])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._redis.aclose()

    async def beat(self, nodes: Sequence[NodeBeat], tasks: Sequence[TaskId], now: datetime) -> str | None:
        """Raises ``Unavailable``; what was sent may be carried out nonetheless, so ends are said again."""
        async with self._lock, self.answering():
            fields = await self._field_expiry()
            alive = self._not_ended(tasks, now)
            value = self._next_count(now)
            pipe = self._redis.pipeline(transaction=True)
            if nodes:
                self._add_nodes(pipe, nodes, value, now, fields)
            if fresh := [task for task in alive if task not in self._beating]:
                pipe.delete(*map(_exception, fresh))
            for task in alive:
                pipe.set(_heartbeat(task), value, px=self._beat_ms)
            for end in self._ends.values():
                if end.repeated:
                    self._add_end(pipe, end)
            if nodes and fields is _Fields.NOT:
                pipe.hgetall(LAST_ACTIVITY)
                pipe.hkeys(MODES)
            self._sent |= dict.fromkeys(alive, now)
            commands = [" ".join(map(str, command[0][:2])) for command in pipe.command_stack]
            replies = await self._done(pipe)
            self._beating = set(alive)
            if nodes and fields is _Fields.NOT:
                activity, modes = replies[-2:]
                self._stale = stale(_dict(activity), _list(modes), now, self._ttl)
        wrong = zip(commands, replies, strict=True)
        refused = dict.fromkeys(f"{command}: {reply}" for command, reply in wrong if _is_error(reply))
        return "; ".join(refused) or None

    async def end(self, ends: Sequence[EndPulse], now: datetime) -> None:
        """One round trip."""
        if not ends:
            return
        async with self._lock, self.answering():
            told = {each.task: _End(each, now, repeated=each.task in self._sent) for each in ends}
            # Kept first: a beat that was computed before the end must not come after it.
            self._ends |= told
            pipe = self._redis.pipeline(transaction=True)
            for end in told.values():
                self._add_end(pipe, end)
            replies = await self._done(pipe)
        if refused := [reply for reply in replies if isinstance(reply, Exception)]:
            raise Undeliverable(f"Redis refuses the ends of {len(ends)} tasks: {refused[0]}")

    async def _done(self, pipe: Pipeline) -> list[Any]:
        """Replies, errors among them: one command that Redis refuses for what it is spoils none of the others."""
        replies = await pipe.execute(raise_on_error=False) if len(pipe) else []
        for reply in replies:
            if _is_error(reply) and is_everybodys(reply):
                raise reply
        return replies

    async def note_error(self, task: TaskId, message: str, now: datetime) -> None:
        async with self.answering():
            await self._redis.set(_error(task), message, ex=self._ttl)

    async def vitals(self, tasks: Sequence[TaskId], now: datetime) -> dict[TaskId, Vitals]:
        """One round trip."""
        found: dict[TaskId, Vitals] = {}
        if not tasks:
            return found
        pipe = self._redis.pipeline(transaction=False)
        for start in range(0, len(tasks), _TOGETHER):
            some = tasks[start : start + _TOGETHER]
            pipe.mget([key(task) for task in some for key in (_heartbeat, _exception, _error)])
        async with self.answering():
            values = [value for reply in await pipe.execute() for value in reply]
        for number, task in enumerate(tasks):
            beat, exception, error = values[3 * number : 3 * number + 3]
            if (vitals := Vitals(_number(beat), exception, error)) != SILENT:
                found[task] = vitals
        return found

    async def nodes(self, now: datetime) -> dict[NodeId, int]:
        """Skalds' own nodes among them."""
        async with self.answering():
            known = [str(node) for node in await readable(self._redis.hkeys(LAST_ACTIVITY), [])]
            if not known:
                return {}
            values = await self._redis.mget([f"skalds:{node}:heartbeat" for node in known])
        found = {NodeId(node): _number(value) for node, value in zip(known, values, strict=True)}
        return {node: value for node, value in found.items() if value is not None}

    async def _get(self, key: str) -> str | None:
        async with self.answering():
            value = await readable(self._redis.get(key), None)
        return str(value) if value is not None else None

    def _next_count(self, now: datetime) -> int:
        """Counts seconds: it moves on with every beat, and a bridge that was started anew does not go back."""
        self._count = max(self._count + 1, int(now.timestamp() / self._unit))
        return self._count % COUNTER

    def _not_ended(self, tasks: Iterable[TaskId], now: datetime) -> list[TaskId]:
        """Tasks that have not ended at ``now`` or later; what is older than a late beat can be is forgotten."""
        alive = [task for task in tasks if (end := self._ends.get(task)) is None or end.at < now]
        again = set(alive)
        self._ends = {
            task: end
            for task, end in self._ends.items()
            if task not in again and now - end.at < (_REPEATED if end.repeated else _RACING)
        }
        self._sent = {task: at for task, at in self._sent.items() if now - at < _REPEATED}
        return alive

    def _add_nodes(
        self, pipe: Pipeline, nodes: Sequence[NodeBeat], value: int, now: datetime, fields: _Fields
    ) -> None:
        ms = to_ms(now)
        self._add_hash(pipe, LAST_ACTIVITY, {node.id: str(ms) for node in nodes}, fields)
        self._add_hash(pipe, MODES, {node.id: node.mode.value for node in nodes}, fields)
        if fields is _Fields.NOT:
            here = {node.id for node in nodes}
            for key, gone in zip((LAST_ACTIVITY, MODES), self._stale, strict=True):
                if away := [node for node in gone if node not in here]:
                    pipe.hdel(key, *away)
        for node in nodes:
            pipe.set(f"skalds:{node.id}:heartbeat", value, px=self._beat_ms)
            pipe.set(f"skalds:{node.id}:all-task", all_tasks(node, ms), ex=self._ttl)
            allowed = f"skalds:{node.id}:allow-task-class-name"
            pipe.delete(allowed)
            if node.task_types:
                pipe.rpush(allowed, *node.task_types)
                pipe.expire(allowed, self._ttl)

    def _add_hash(self, pipe: Pipeline, key: str, values: Mapping[Any, Any], fields: _Fields) -> None:
        if fields is _Fields.HSETEX:
            pairs = [part for pair in values.items() for part in pair]
            pipe.execute_command("HSETEX", key, "EX", self._ttl, "FIELDS", len(values), *pairs)
            return
        pipe.hset(key, mapping=values)
        if fields is _Fields.HEXPIRE:
            pipe.hexpire(key, self._ttl, *values)
        else:
            pipe.expire(key, self._ttl)

    def _add_end(self, pipe: Pipeline, end: _End) -> None:
        told = end.told
        pipe.set(_heartbeat(told.task), told.value, ex=self._ttl)
        if told.exception is None:
            pipe.delete(_exception(told.task))
        else:
            pipe.set(_exception(told.task), told.exception, ex=self._ttl)

    async def _field_expiry(self) -> _Fields:
        if self._fields is None:
            try:
                # Spelled as one word: redis-py's own COMMAND INFO fails on a command that is not there.
                asked: Any = self._redis.execute_command("COMMAND INFO", "HSETEX", "HEXPIRE")  # type: ignore[no-untyped-call]
                hsetex, hexpire = await asked
            except NoPermissionError:
                hsetex = hexpire = None
            self._fields = _Fields.HSETEX if hsetex else _Fields.HEXPIRE if hexpire else _Fields.NOT
        return self._fields

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[Redis]:
        """The connection; its errors are ``Unavailable``."""
        try:
            yield self._redis
        except (RedisError, OSError) as error:
            self._fields = None  # another server may answer the next time
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> Unavailable:
        where = f"{self._config.host}:{self._config.port}"
        said = str(error) or type(error).__name__
        if self._config.password and (secret := self._config.password.get_secret_value()):
            said = said.replace(secret, "***")
        return Unavailable(f"Redis at {where} cannot be used: {said}", remedy=remedy(error))


def _dict(reply: Any) -> dict[str, str]:
    return reply if isinstance(reply, dict) else {}


def _list(reply: Any) -> list[str]:
    return reply if isinstance(reply, list) else []


def all_tasks(node: NodeBeat, ms: int) -> str:
    """The ``all-task`` document; snake_case, unlike all else of Skalds."""
    tasks = [{"id": task.id, "class_name": task.class_name} for task in node.tasks]
    existed = [task.id for task in node.tasks]
    return json.dumps({"tasks": tasks, "existed_task_ids": existed, "timestamp": ms}, ensure_ascii=False)


def stale(
    activity: Mapping[str, str], modes: Iterable[str], now: datetime, ttl: float
) -> tuple[list[str], list[str]]:
    """Fields of the activity hash that are ``ttl`` seconds old, and fields of the mode hash without a fresh one."""
    oldest = to_ms(now) - ttl * 1000
    old = [node for node, at in activity.items() if (_number(at) or 0) <= oldest]
    fresh = activity.keys() - set(old)
    return old, [node for node in modes if node not in fresh]


def _heartbeat(task: TaskId) -> str:
    return f"task:{task}:heartbeat"


def _exception(task: TaskId) -> str:
    return f"task:{task}:exception"


def _error(task: TaskId) -> str:
    return f"task:{task}:has-error"


def _number(text: bytes | str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def _is_error(reply: Any) -> TypeGuard[RedisError]:
    return isinstance(reply, RedisError)
