"""Messages between a node and its child processes, and the Prefect events that carry commands to a node.

Node and child speak JSON objects, one a line, over a socket pair; ``decode`` turns a line into one of the
dataclasses below. Commands from outside travel as Prefect events whose payloads are given beside their names.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

UPDATE_REQUESTED = "skald.update.requested"
"""Payload: ``update_id`` str, ``changes`` (merged into the newest) or ``attachments`` (replaces them)."""
UPDATE_APPLIED = "skald.update.applied"
"""Payload: ``update_id``, ``revision`` int, ``attachments`` object, ``node`` str."""
UPDATE_REJECTED = "skald.update.rejected"
"""Payload: ``update_id``, ``revision`` int, ``reason`` str, ``node`` str."""

NODE_ANNOUNCED = "skald.node.announced"
"""A node said in its variable what it has and can, or that it has gone. Payload: ``node`` str."""
TASK_STILL = "skald.task.still"
"""The task runs, and its process stands still; said again while it lasts. Payload: ``node`` str."""
TASK_MOVES = "skald.task.moves"
"""It moves again. Payload: ``node`` str."""

RECORDING = "recording"
"""Type of a Prefect artifact whose data are ``path`` str, ``start`` ISO 8601, ``seconds``, ``codec``, ``size``."""

REVISION_LABEL = "skald.revision"
"""Flow-run label: number of the newest applied attachments; 1 when absent."""

TAKEN_BY = "Taken by node "
"""Prefix of the message of the Pending state with which a node claims a run; the node's name follows."""

NODE_VARIABLE_PREFIX = "skald_node_"
"""Prefect variables of this prefix hold what each node announces of itself (``devices.Announcement``)."""

NODE_LOGGER = "skald.node"
"""Prefect log records of a flow run under this name are a node's: refusals, lease, start, end."""

CHANNEL_FD_ENV = "SKALD_CHANNEL_FD"
"""File descriptor of the child's end of the socket pair."""


@dataclass(frozen=True)
class Run:
    """Node to child: execute this flow run, the API's JSON of it, or its ``hooks``: crashed, cancelled.

    ``path``: the folder of its code, empty where the child must fetch it. ``books``: the node stores the flow's
    version and retry policy on the run.
    """

    kind: ClassVar[str] = "run"
    flow_run: dict[str, Any]
    entrypoint: str
    path: str
    revision: int = 1
    env: dict[str, str | None] = field(default_factory=dict)
    result_storage: str | None = None
    hooks: str = ""
    books: bool = True


@dataclass(frozen=True)
class Update:
    """Node to child: a candidate revision of the attachments, complete (already merged)."""

    kind: ClassVar[str] = "update"
    update_id: str
    revision: int
    attachments: dict[str, Any]


@dataclass(frozen=True)
class Warm:
    """Child to node: warmed, waiting for a run."""

    kind: ClassVar[str] = "warm"
    pid: int


@dataclass(frozen=True)
class Hooks:
    """Child to node: the kinds of hooks that its flow has and a node may have to run: crashed, cancelled."""

    kind: ClassVar[str] = "hooks"
    kinds: list[str]


@dataclass(frozen=True)
class Stated:
    """Child to node: the run's engine reached this state in Prefect; it is no stranger's."""

    kind: ClassVar[str] = "stated"
    state_id: str
    type: str
    name: str


@dataclass(frozen=True)
class Logged:
    """Child to node: a log record for Prefect, as its API takes it."""

    kind: ClassVar[str] = "logged"
    record: dict[str, Any]


@dataclass(frozen=True)
class Emitted:
    """Child to node: an event for Prefect (states of subtasks are events), as JSON."""

    kind: ClassVar[str] = "emitted"
    event: dict[str, Any]


@dataclass(frozen=True)
class Applied:
    """Child to node: user code has the revision. ``attachments`` as validated, dumped by alias."""

    kind: ClassVar[str] = "applied"
    update_id: str
    revision: int
    attachments: dict[str, Any]


@dataclass(frozen=True)
class Rejected:
    """Child to node: validation or user code refused the revision."""

    kind: ClassVar[str] = "rejected"
    update_id: str
    revision: int
    reason: str


Message = Run | Update | Warm | Hooks | Stated | Logged | Emitted | Applied | Rejected
_KINDS: dict[str, type[Message]] = {
    cls.kind: cls for cls in (Run, Update, Warm, Hooks, Stated, Logged, Emitted, Applied, Rejected)
}


def encode(message: Message) -> bytes:
    """One line, newline included."""
    return json.dumps({"kind": message.kind, **asdict(message)}, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The message of one line.

    Raises:
        ValueError: not JSON, an unknown kind or wrong fields.
    """
    try:
        data = json.loads(line)
        return _KINDS[data.pop("kind")](**data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a node message: {line[:200]!r}") from error
