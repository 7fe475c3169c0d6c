"""Messages between a node and its child processes, and the Prefect events that carry commands to a node.

Node and child speak JSON objects, one a line, over a socket pair; ``decode`` turns a line into one of the
dataclasses below. Commands from outside travel as Prefect events whose payloads are given beside their names.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

KEPT = "kept"
"""In the payload of an update's request: Prefect has its attachments already, for the task is paused."""
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
NODE_LABEL = "skald.node"
"""Flow-run label: the node that has, or last had, the run. It is written some seconds after the claim."""
POOL_LABEL = "skald.pool"
"""Flow-run label: the work pool of that node."""
WORKER_LABEL = "prefect.worker.name"
"""Flow-run label of Prefect's own workers, which nodes write too."""

TAKEN_BY = "Taken by node "
"""Prefix of the message of the Pending state with which a node claims a run; the node's name follows."""

NODE_VARIABLE_PREFIX = "skald_node_"
"""Prefect variables of this prefix hold what each node announces of itself (``devices.Announcement``)."""
LEAD_VARIABLE_PREFIX = "skald_lead_"
"""Prefect variables of this prefix name the node that looks after all of a work pool. Value: ``node``, ``life``."""

RESOURCE_ID = "prefect.resource.id"
RESOURCE_NAME = "prefect.resource.name"
RESOURCE_ROLE = "prefect.resource.role"
STATE_TYPE = "prefect.state-type"
STATE_NAME = "prefect.state-name"
"""Keys of the resources of Prefect's events."""
RUN_RESOURCE = "prefect.flow-run."
FLOW_RESOURCE = "prefect.flow."
DEPLOYMENT_RESOURCE = "prefect.deployment."
POOL_RESOURCE = "prefect.work-pool."
WORK_EVENTS = "prefect.work-"
"""Begins the names of events of pools and queues."""
TAG_RESOURCE = "prefect.tag."
"""Prefixes of resource ids; an id, or a tag, follows. Events of runs and deployments are named with them too."""
NODE_RESOURCE = "skald.node."
"""Prefix of the resource id of a node's own events; its name follows."""
RUN_HEARTBEAT = "prefect.flow-run.heartbeat"
DEPLOYMENT_CREATED = "prefect.deployment.created"
DEPLOYMENT_UPDATED = "prefect.deployment.updated"

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
class Broke:
    """Child to node: what ended it before the run's engine could say so in Prefect, in one line."""

    kind: ClassVar[str] = "broke"
    cause: str


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
class UpdateApplied:
    """Child to node: user code has the revision. ``attachments`` as validated, dumped by alias."""

    kind: ClassVar[str] = "applied"
    update_id: str
    revision: int
    attachments: dict[str, Any]


@dataclass(frozen=True)
class UpdateRejected:
    """Child to node: validation or user code refused the revision."""

    kind: ClassVar[str] = "rejected"
    update_id: str
    revision: int
    reason: str


Message = Run | Update | Warm | Hooks | Stated | Broke | Logged | Emitted | UpdateApplied | UpdateRejected
_KINDS: dict[str, type[Message]] = {
    cls.kind: cls
    for cls in (Run, Update, Warm, Hooks, Stated, Broke, Logged, Emitted, UpdateApplied, UpdateRejected)
}


def claim_message(node: str) -> str:
    """The message of the state with which the node claims a run."""
    return TAKEN_BY + node


def claimant(message: str | None) -> str | None:
    """The node that a state's message names as the run's claimant; ``None`` where it is no claim's."""
    return message.removeprefix(TAKEN_BY) if message and message.startswith(TAKEN_BY) else None


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
