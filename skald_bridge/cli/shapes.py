"""Facts as the JSON of `--json`: Skalds' camelCase names, times in ISO 8601 UTC, missing values null."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from skald_bridge.cli.output import iso
from skald_bridge.domain.facts import Progress, State, Subtask, Task
from skald_bridge.domain.failure import Failure
from skald_bridge.domain.queue import Row
from skald_bridge.domain.recordings import Artifact
from skald_bridge.domain.records import JournalRecord
from skald_bridge.domain.usage import NodeFacts


def task_json(task: Task, progress: Progress | None = None) -> dict[str, Any]:
    return {
        "id": task.id,
        "name": task.name,
        "className": task.class_name,
        "lifecycleStatus": task.state.lifecycle.value if task.state else None,
        "state": state_json(task.state) if task.state else None,
        "node": task.node,
        "pool": task.pool,
        "queue": task.queue,
        "deployment": task.deployment,
        "attempt": task.attempt,
        "revision": task.revision,
        "attachments": task.attachments,
        "progress": {"fraction": progress.fraction, "text": progress.text} if progress else None,
        "tags": list(task.tags),
        "created": iso(task.created),
        "started": iso(task.start),
        "ended": iso(task.end),
    }


def state_json(state: State) -> dict[str, Any]:
    return {
        "id": state.id,
        "type": state.type.value,
        "name": state.name,
        "lifecycleStatus": state.lifecycle.value,
        "at": iso(state.at),
        "message": state.message,
    }


def subtask_json(subtask: Subtask) -> dict[str, Any]:
    return {
        "id": subtask.id,
        "name": subtask.name,
        "state": subtask.state,
        "attempt": subtask.attempt,
        "seconds": subtask.seconds,
        "message": subtask.message,
    }


def artifact_json(artifact: Artifact) -> dict[str, Any]:
    return {"type": artifact.type, "key": artifact.key, "description": artifact.text}


def failure_json(failure: Failure | None) -> dict[str, Any] | None:
    return {"cause": failure.cause, "details": failure.details} if failure is not None else None


def queued_json(row: Row) -> dict[str, Any]:
    task = row.queued.task
    return {
        "id": task.id,
        "place": row.queued.place,
        "name": task.name,
        "className": task.class_name,
        "pool": task.pool,
        "queue": task.queue,
        "deployment": task.deployment,
        "priority": row.priority,
        "needs": row.queued.needs.not_zero(),
        "state": state_json(task.state) if task.state else None,
        "waitsSince": iso(row.since),
        "due": iso(row.queued.waiting.due),
        "expectedStart": iso(row.expected),
        "reasons": list(row.reasons),
    }


def node_json(facts: NodeFacts) -> dict[str, Any]:
    node, has, taken = facts.node, facts.has, facts.taken
    return {
        "name": node.id,
        "pool": node.pool,
        "status": "online" if node.online else "offline",
        "health": facts.health,
        "lastSeen": iso(node.last_seen),
        "runningTasks": taken.tasks,
        "tasks": [holding.task.id for holding in facts.holdings],
        "taskTypes": list(facts.task_types),
        "load": facts.load,
        "free": {
            "slots": has.slots - taken.tasks if has.slots is not None else None,
            "cpus": has.cpus - taken.cpus,
            "memory": has.memory - taken.memory,
            "gpus": has.gpu_count - taken.gpus,
            "gpuMemory": has.gpu_memory - taken.gpu_memory,
        },
        "capacity": node.capacity,
    }


def event_json(position: int, record: JournalRecord) -> dict[str, Any]:
    """As it is on Skalds' wire, with its place in the journal."""
    from skald_bridge.wire.skalds import record_json

    return {"position": position, **record_json(record)}


def log_json(entry: tuple[datetime, str]) -> dict[str, Any]:
    return {"at": iso(entry[0]), "message": entry[1]}
