"""Prefect's JSON and events as facts; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from skald_bridge.domain.claims import claimed_by
from skald_bridge.domain.facts import (
    Heard,
    Node,
    NodesHint,
    Progress,
    RecordedHint,
    RevisionHint,
    State,
    StateHint,
    StillHint,
    Subtask,
    Task,
)
from skald_bridge.domain.ids import NodeId, StateId, TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_work_pools import messages

if TYPE_CHECKING:
    from prefect.events import Event

ARTIFACT_CREATED = "prefect.artifact.created"
TASK_TAG = "skald.task:"
"""Begins the tag, and the idempotency key, of the run of a task that Skalds named; its id follows."""
_TAG_PREFIX = f"{messages.TAG_RESOURCE}{TASK_TAG}"
MOST_REVISIONS = 2**31 - 1
"""One number orders states, and revisions within a state: see ``mongo_archive``."""
_NOT_STATES = frozenset({messages.RUN_HEARTBEAT})


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def state_of(data: Mapping[str, Any]) -> State:
    return State(
        id=StateId(data["id"]),
        type=StateType(data["type"]),
        name=data["name"] or data["type"].capitalize(),
        at=datetime.fromisoformat(data["timestamp"]),
        message=data.get("message"),
    )


def task_of(run: Mapping[str, Any], class_name: str, deployment: str | None) -> Task:
    """A task from a flow run's JSON."""
    state = state_of(run["state"]) if run.get("state") else None
    labels = dict(run.get("labels") or {})
    node = labels.get(messages.NODE_LABEL) or labels.get(messages.WORKER_LABEL)
    if node is None and state is not None:
        node = claimed_by(state)
    return Task(
        id=task_id_of(run),
        run=run["id"],
        name=run["name"],
        class_name=class_name,
        state=state,
        created=datetime.fromisoformat(run["created"]),
        attachments=attachments_of(run.get("parameters") or {}),
        revision=revision_of(labels),
        attempt=run.get("run_count") or 0,
        node=NodeId(node) if node else None,
        pool=run.get("work_pool_name"),
        queue=run.get("work_queue_name"),
        deployment=deployment,
        deployment_id=run.get("deployment_id"),
        tags=tuple(tag for tag in run.get("tags") or () if not tag.startswith(TASK_TAG)),
        labels=labels,
        start=moment(run.get("start_time")),
        end=moment(run.get("end_time")),
        parent=_parent(labels),
    )


def task_id_of(run: Mapping[str, Any]) -> TaskId:
    """Skalds' id where the task has one; a copy of such a run has its tag, but not its key."""
    key = run.get("idempotency_key") or ""
    if key.startswith(TASK_TAG) and key in (run.get("tags") or ()):
        return TaskId(key.removeprefix(TASK_TAG))
    return TaskId(run["id"])


def attachments_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The value of a single object parameter, or all parameters of a flow that has others."""
    if len(parameters) == 1:
        (value,) = parameters.values()
        if isinstance(value, dict):
            return dict(value)
    return dict(parameters)


def revision_of(labels: Mapping[str, Any]) -> int:
    try:
        return min(MOST_REVISIONS, max(1, int(labels.get(messages.REVISION_LABEL, 1))))
    except (TypeError, ValueError, OverflowError):
        return 1


def stands_for_task(run: Mapping[str, Any]) -> bool:
    """Whether a task run is Prefect's placeholder for a deployment that a task started: a task of its own."""
    return str(run.get("task_key", "")).startswith("prefect.deployments.")


def subtask_of(run: Mapping[str, Any]) -> Subtask:
    state = run.get("state") or {}
    seconds = run.get("estimated_run_time") or run.get("total_run_time") or 0.0
    return Subtask(
        id=run["id"],
        name=run["name"],
        state=run.get("state_name") or "Created",
        attempt=run.get("run_count") or 0,
        seconds=float(seconds),
        message=state.get("message"),
    )


def progress_of(artifact: Mapping[str, Any]) -> Progress:
    try:
        fraction = float(artifact.get("data") or 0.0) / 100
    except (TypeError, ValueError):
        fraction = 0.0
    return Progress(min(1.0, max(0.0, fraction)), artifact.get("description") or "")


def node_of(worker: Mapping[str, Any], pool: str, announcements: Mapping[str, Any]) -> Node:
    """A node from a worker's JSON; one whose announcement is gone has stopped, heartbeat or not."""
    announced = announcements.get(worker["name"])
    capacity = _sound(announced) if isinstance(announced, dict) else {}
    return Node(
        id=NodeId(worker["name"]),
        pool=pool,
        online=worker.get("status") == "ONLINE" and bool(capacity),
        last_seen=moment(worker.get("last_heartbeat_time")),
        capacity=capacity,
    )


def _sound(announced: Mapping[str, Any]) -> dict[str, Any]:
    """Without values of types that no node of ours announces: a variable can be written by anybody."""
    kinds: dict[str, type | tuple[type, ...]] = {
        "task_types": list,
        "mode": str,
        "started": str,
        "limit": (int, float),
        "cpus": (int, float),
        "gpus": list,
        "starts": dict,
        "needs": dict,
        "tags": list,
    }
    return {
        name: value
        for name, value in announced.items()
        if name not in kinds or value is None or isinstance(value, kinds[name])
    }


def hint_of(event: Event, task: TaskId | None = None) -> Heard | None:
    """What an event says of a task; ``None`` for one that says nothing of its state,
    attachments or process.

    ``task``: whose run it is, where that is known already.
    """
    resource = event.resource
    task = task or _told_task(event)
    if event.event == messages.UPDATE_APPLIED:
        payload = event.payload
        return RevisionHint(task, int(payload["revision"]), dict(payload["attachments"]))
    if event.event == ARTIFACT_CREATED:
        return _recorded(event, task)
    if event.event == messages.NODE_ANNOUNCED:
        return NodesHint()
    if event.event in (messages.TASK_STILL, messages.TASK_MOVES):
        return StillHint(task, event.event == messages.TASK_STILL)
    if event.event in _NOT_STATES or messages.STATE_TYPE not in resource:
        return None
    state = State(
        id=StateId(str(event.id)),
        type=StateType(resource[messages.STATE_TYPE]),
        name=resource.get(messages.STATE_NAME) or resource[messages.STATE_TYPE].capitalize(),
        at=datetime.fromisoformat(resource["prefect.state-timestamp"]),
        message=resource.get("prefect.state-message") or None,
    )
    intended = event.payload.get("intended") or {}
    return StateHint(
        task=task,
        state=state,
        follows=StateId(str(event.follows)) if event.follows else None,
        first="intended" in event.payload and intended.get("from") is None,
        name=resource.get(messages.RESOURCE_NAME) or "",
        class_name=_flow_name(event),
    )


def run_of(event: Event) -> str:
    """Prefect's id of the run that the event is of; an artifact's event names its run as related."""
    if event.event == ARTIFACT_CREATED:
        related = next((each.id for each in event.related if each.role == "flow-run"), "")
        return related.removeprefix(messages.RUN_RESOURCE)
    return event.resource.id.removeprefix(messages.RUN_RESOURCE)


def _recorded(event: Event, task: TaskId) -> RecordedHint | None:
    return RecordedHint(task) if task and event.payload.get("type") == messages.RECORDING else None


def _told_task(event: Event) -> TaskId:
    for related in event.related:
        if related.role == "tag" and related.id.startswith(_TAG_PREFIX):
            return TaskId(related.id.removeprefix(_TAG_PREFIX))
    return TaskId(run_of(event))


def _flow_name(event: Event) -> str:
    for related in event.related:
        if related.role == "flow":
            return related.get(messages.RESOURCE_NAME) or ""
    return ""


def _parent(labels: Mapping[str, Any]) -> TaskId | None:
    parent = labels.get("prefect.flow-run.id")
    return TaskId(str(parent)) if parent else None


def is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
