"""dtask-scheduler's HTTP API, and what goes beyond it: bytes <-> typed messages; pure.

What a plain dtask client sends is answered byte for byte as dtask answers; a reply has more fields only where the
request had some of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from skald_bridge.wire import go_json
from skald_bridge.wire.go_json import Malformed, quoted
from skald_work_pools.needs import Needs

T = TypeVar("T")
LARGEST_BODY = 2**18
LONGEST_ID = 256
MOST_TAGS = 1000
LONGEST_TAG = 256
LONGEST_WAIT = 600.0
LONGEST_LEASE = 86400.0
HIGHEST_PRIORITY = 10
_DTASK_LONGEST_WAIT = 60.0
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"


class Reply(NamedTuple):
    """``body`` ends with a line feed, as Go's do."""

    status: int
    body: bytes
    content_type: str = _JSON

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        found = [
            (b"content-type", self.content_type.encode()),
            (b"content-length", str(len(self.body)).encode()),
        ]
        return [*found, (b"x-content-type-options", b"nosniff")] if self.content_type == _TEXT else found


class OutOfBounds(ValueError):
    """Go would take it; the message says what is wrong, for the client."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A worker's report. ``tags`` is ``None`` where none were given; ``leaving``: it takes nothing more, and goes.

    ``capacity`` is what the worker has besides slots, as ``Needs`` names it; ``None`` where it says nothing of it.
    """

    worker_id: str
    address: str
    tags: tuple[str, ...] | None
    max_tasks: int
    current_tasks: int
    leaving: bool = False
    capacity: Needs | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a client asks for.

    Attributes:
        priority: 0…10.
        wait: seconds that the request may be held; 0 answers at once.
        keeps_place: one that was not placed in time stays in the queue, and may ask again.
        lease: seconds; ``None`` is the default. The reply says until when, where there was one.
    """

    task_id: str
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    preferred: tuple[str, ...] = ()
    needs: Needs | None = None
    priority: int = 0
    wait: float = 0.0
    keeps_place: bool = False
    lease: float | None = None


@dataclass(frozen=True, slots=True)
class Release:
    task_id: str


@dataclass(frozen=True, slots=True)
class Worker:
    """One line of the list."""

    worker_id: str
    address: str
    tags: tuple[str, ...] | None
    max_tasks: int
    current_tasks: int
    heard: datetime
    status: str


def heartbeat(body: bytes) -> Heartbeat:
    """
    Raises:
        Malformed: as Go refuses it.
        OutOfBounds: an id, an address or the tags are too long.
    """
    worker = address = ""
    tags = go_json.Texts()
    most = current = 0
    leaving, capacity = False, None
    for name, value in go_json.pairs(body):
        if name == "resource_tags":
            tags.decode(value)
        elif value is None:
            continue
        elif name == "worker_id":
            worker = go_json.text(value)
        elif name == "address":
            address = go_json.text(value)
        elif name == "max_tasks":
            most = go_json.integer(value)
        elif name == "current_tasks":
            current = go_json.integer(value)
        elif name == "timestamp":
            go_json.integer(value)
        elif name == "leaving":
            leaving = _ours(name, go_json.truth, value)
        elif name == "capacity":
            capacity = _ours(name, _needs, value)
    _bounded("worker_id", worker)
    _bounded("address", address)
    return Heartbeat(
        worker, address, _bounded_tags("resource_tags", tags.value), most, current, leaving, capacity
    )


class _Options:
    """The fields of a schedule request that dtask does not have."""

    __slots__ = ("forbidden", "lease", "needs", "preferred", "priority", "wait", "wait_ms")

    def __init__(self) -> None:
        self.forbidden, self.preferred = go_json.Texts(), go_json.Texts()
        self.needs: Needs | None = None
        self.priority = 0
        self.wait: float | None = None
        self.wait_ms = 0
        self.lease: float | None = None


def schedule(body: bytes) -> Schedule:
    """
    Raises:
        Malformed: as Go refuses it.
        OutOfBounds: an id or tags are too long, or a field of ours is wrong.
    """
    task = ""
    required = go_json.Texts()
    options: _Options | None = None
    for name, value in go_json.pairs(body):
        if name == "task_id":
            if value is not None:
                task = go_json.text(value)
        elif name == "required_tags":
            required.decode(value)
        elif name in _OURS:
            options = options or _Options()
            _OURS[name](options, name, value)
    _bounded("task_id", task)
    wanted = _bounded_tags("required_tags", required.value) or ()
    if options is None:
        return Schedule(task, wanted)
    held = options.wait
    return Schedule(
        task,
        wanted,
        _bounded_tags("forbidden_tags", options.forbidden.value) or (),
        _bounded_tags("preferred_tags", options.preferred.value) or (),
        options.needs,
        options.priority,
        held if held is not None else min(options.wait_ms / 1000, _DTASK_LONGEST_WAIT),
        held is not None,
        options.lease,
    )


def release(body: bytes) -> Release:
    """
    Raises:
        Malformed: as Go would refuse it.
        OutOfBounds: the id is too long.
    """
    task = ""
    for name, value in go_json.pairs(body):
        if name == "task_id" and value is not None:
            task = go_json.text(value)
    _bounded("task_id", task)
    return Release(task)


def _set_wait(options: _Options, name: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        options.wait = LONGEST_WAIT if value else None
        return
    options.wait = _between(name, _ours(name, go_json.real, value), LONGEST_WAIT)


def _set_wait_ms(options: _Options, name: str, value: Any) -> None:
    if value is not None:
        options.wait_ms = max(0, _ours(name, go_json.integer, value))


def _set_lease(options: _Options, name: str, value: Any) -> None:
    if value is not None:
        options.lease = _between(name, _ours(name, go_json.real, value), LONGEST_LEASE)
        if options.lease == 0:
            raise OutOfBounds("lease must be more than 0 seconds")


def _set_priority(options: _Options, name: str, value: Any) -> None:
    if value is not None:
        options.priority = int(_between(name, _ours(name, go_json.integer, value), HIGHEST_PRIORITY))


def _set_needs(options: _Options, name: str, value: Any) -> None:
    options.needs = _ours(name, _needs, value) if value is not None else None


def _set_forbidden(options: _Options, name: str, value: Any) -> None:
    _ours(name, options.forbidden.decode, value)


def _set_preferred(options: _Options, name: str, value: Any) -> None:
    _ours(name, options.preferred.decode, value)


_OURS: dict[str, Callable[[_Options, str, Any], None]] = {
    "wait": _set_wait,
    "max_wait_ms": _set_wait_ms,
    "lease": _set_lease,
    "priority": _set_priority,
    "needs": _set_needs,
    "forbidden_tags": _set_forbidden,
    "preferred_tags": _set_preferred,
}


def _ours(name: str, read: Callable[[Any], T], value: Any) -> T:
    try:
        return read(value)
    except Malformed as error:
        raise OutOfBounds(f"{name}: {error}") from error


def _needs(value: Any) -> Needs:
    try:
        return Needs.model_validate(go_json.plain(value))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Malformed(f"{where}: {first['msg']}" if where else first["msg"]) from error


def _between(name: str, value: float, most: float) -> float:
    if not 0 <= value <= most:
        raise OutOfBounds(f"{name} must be from 0 to {most:g}")
    return value


def _bounded(name: str, value: str) -> None:
    if len(value) > LONGEST_ID:
        raise OutOfBounds(f"{name} is longer than {LONGEST_ID} characters")


def _bounded_tags(name: str, tags: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if tags and (len(tags) > MOST_TAGS or max(map(len, tags)) > LONGEST_TAG):
        raise OutOfBounds(
            f"{name} has more than {MOST_TAGS} tags, or one longer than {LONGEST_TAG} characters"
        )
    return tags


HEARD = Reply(HTTPStatus.OK, b'{"status":"ok"}\n')
NO_WORKER = Reply(HTTPStatus.SERVICE_UNAVAILABLE, b'{"error":"no available worker matching requirements"}\n')
NO_TASK_ID = Reply(HTTPStatus.SERVICE_UNAVAILABLE, b'{"error":"task_id is required"}\n')
WAITED = Reply(HTTPStatus.SERVICE_UNAVAILABLE, b'{"error":"timed out waiting for an available worker"}\n')
MALFORMED = Reply(HTTPStatus.BAD_REQUEST, b"Invalid request body\n", _TEXT)
NO_SUCH_METHOD = Reply(HTTPStatus.METHOD_NOT_ALLOWED, b"Method not allowed\n", _TEXT)


def granted(worker_id: str, address: str, more: Iterable[tuple[str, str]] = ()) -> Reply:
    """``more``: names and JSON values that the request asked for."""
    found = [("worker_id", quoted(worker_id))] if worker_id else []
    if address:
        found.append(("address", quoted(address)))
    return Reply(HTTPStatus.OK, _object([*found, *more]))


def no_worker(reason: str) -> Reply:
    """dtask's answer, and why."""
    told = [("error", '"no available worker matching requirements"'), ("reason", quoted(reason))]
    return Reply(HTTPStatus.SERVICE_UNAVAILABLE, _object(told))


def queued(task_id: str, position: int) -> Reply:
    """``position`` counts from 1."""
    told = [("status", '"queued"'), ("task_id", quoted(task_id)), ("position", str(position))]
    return Reply(HTTPStatus.ACCEPTED, _object(told))


def released(task_id: str, known: bool) -> Reply:
    """What was not held, or no longer, is as free as what was."""
    status = "released" if known else "not held"
    return Reply(HTTPStatus.OK, _object([("status", quoted(status)), ("task_id", quoted(task_id))]))


def refused(status: HTTPStatus, error: str) -> Reply:
    return Reply(status, _object([("error", quoted(error))]))


def _object(pairs: list[tuple[str, str]]) -> bytes:
    return ("{" + ",".join([f'"{name}":{value}' for name, value in pairs]) + "}\n").encode()


def workers(listed: Iterable[Worker]) -> Iterator[bytes]:
    """The list, a worker a piece."""
    separator = "["
    for worker in listed:
        yield f"{separator}{_worker(worker)}".encode()
        separator = ","
    yield b"[]\n" if separator == "[" else b"]\n"


def _worker(worker: Worker) -> str:
    available = (worker.max_tasks - worker.current_tasks + 2**63) % 2**64 - 2**63
    return (
        f'{{"WorkerID":{quoted(worker.worker_id)},"Address":{quoted(worker.address)},'
        f'"ResourceTags":{go_json.quoted_texts(worker.tags)},"MaxTasks":{worker.max_tasks},'
        f'"CurrentTasks":{worker.current_tasks},"Available":{available},'
        f'"LastHeartbeat":{go_json.quoted_time(worker.heard)},"Status":{quoted(worker.status)}}}'
    )
