"""The fleet as its page shows it: nodes with what they have and run, who waits, what started last; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import TaskId, short
from skald_bridge.domain.lifecycle import LifecycleStatus
from skald_bridge.domain.plain_text import visible
from skald_bridge.domain.queue import Holding, Row
from skald_bridge.domain.records import TaskDocument
from skald_bridge.domain.usage import Has, NodeFacts, Taken, has_of, load_of, taken_of
from skald_bridge.domain.words import needs_text
from skald_bridge.services.queue import ExplainedPage
from skald_bridge.wire.skalds import to_ms
from skald_work_pools.placement.model import Standing, Waiting

MOST_NODES = 500
MOST_TASKS = 8
"""Tasks that a node's tile names; more are counted."""
MOST_NAMES = 40
"""Task types, and tags."""
MOST_QUEUED = 50
MOST_PLACEMENTS = 20
LONGEST_TEXT = 200
FORGOTTEN = timedelta(hours=1)
"""Nodes that have been away for longer are not shown."""

Json = dict[str, Any]
NOBODY = ExplainedPage([], 0, 0)


@dataclass(frozen=True)
class Facts:
    """What is known; ``workers`` and ``requests`` are the first of many.

    ``held``: all tasks that nodes have; ``recent``: documents written last; ``problem``: why it may be old.
    """

    nodes: Sequence[NodeFacts] = ()
    workers: Sequence[Standing] = ()
    more_workers: int = 0
    held: Sequence[Holding] = ()
    queue: ExplainedPage = NOBODY
    requests: Sequence[Waiting] = ()
    total_requests: int = 0
    recent: Sequence[TaskDocument] = ()
    problem: str | None = None


@dataclass(frozen=True)
class View:
    """``nodes`` by key; ``parts`` are all the rest, by name."""

    nodes: Mapping[str, Json] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)


def fleet_view(facts: Facts, now: datetime) -> View:
    """Times are moments, never spans: what only grows older has not changed."""
    here = [node for node in facts.nodes if _is_here(node, now)]
    tiles = {f"node/{each.node.pool}/{each.node.id}": _node(each) for each in here}
    tiles |= {f"worker/{each.member.id}": _worker(each) for each in facts.workers}
    order = sorted(tiles, key=lambda key: (tiles[key]["status"] != "online", key))
    on_tiles = {holding.task.id for node in here for holding in node.holdings}
    totals = {
        "nodes": len(tiles),
        "online": sum(tile["status"] == "online" for tile in tiles.values()),
        "hidden": max(0, len(tiles) - MOST_NODES) + facts.more_workers,
        "atWork": sum(tile["taskCount"] for tile in tiles.values()),
        "elsewhere": sum(holding.task.id not in on_tiles for holding in facts.held),
    }
    return View(
        {key: tiles[key] for key in order[:MOST_NODES]},
        {
            "totals": totals,
            "queue": _queue(facts),
            "placements": _placements(facts.recent),
            "problem": _text(facts.problem) if facts.problem is not None else None,
        },
    )


def whole(view: View, at: datetime) -> Json:
    """A frame for who has seen nothing yet."""
    return {"at": to_ms(at), "whole": True, "nodes": dict(view.nodes), **view.parts}


def changes(before: View, after: View, at: datetime) -> Json | None:
    """A frame for who has seen ``before``; nodes that are gone are ``None``; no frame where nothing has changed."""
    nodes: dict[str, Json | None] = {
        key: tile for key, tile in after.nodes.items() if before.nodes.get(key) != tile
    }
    nodes |= {key: None for key in before.nodes if key not in after.nodes}
    parts = {name: part for name, part in after.parts.items() if before.parts.get(name) != part}
    if not nodes and not parts:
        return None
    return {"at": to_ms(at), **({"nodes": nodes} if nodes else {}), **parts}


def _is_here(facts: NodeFacts, now: datetime) -> bool:
    seen = facts.node.last_seen
    return facts.node.online or bool(facts.holdings) or (seen is not None and now - seen <= FORGOTTEN)


def _node(facts: NodeFacts) -> Json:
    node = facts.node
    started = node.capacity.get("started")
    return {
        "name": _text(node.id),
        "pool": _text(node.pool),
        "kind": "node",
        "status": "online" if node.online else facts.health,
        "seen": to_ms(node.last_seen) if node.last_seen is not None and not node.online else None,
        "host": _text(node.capacity.get("host") or ""),
        "version": _text(node.capacity.get("version") or ""),
        "started": _text(started) if isinstance(started, str) else None,
        "tags": _names(node.capacity.get("tags") or ()),
        "types": _names(facts.task_types),
        **_usage(facts.has, facts.taken),
        "tasks": [_held(holding.task) for holding in facts.holdings[:MOST_TASKS]],
    }


def _worker(standing: Standing) -> Json:
    """A worker of dtask's: what it was granted is known, what else it runs only by number."""
    member, online = standing.member, standing.state == "online"
    gpus = [{"name": gpu.name or "GPU", "memory": gpu.memory} for gpu in member.gpus]
    capacity = {"cpus": member.cpus, "memory": member.memory, "limit": member.slots, "gpus": gpus}
    has = has_of(capacity)
    granted = taken_of(has, [grant.needs for grant in standing.grants])
    taken = Taken(standing.tasks, granted.cpus, granted.memory, granted.gpus, granted.gpu_memory)
    tasks = [
        {
            "id": _text(grant.task),
            "name": _text(grant.task),
            "type": "",
            "state": "",
            "since": to_ms(grant.since),
        }
        for grant in standing.grants[:MOST_TASKS]
    ]
    return {
        "name": _text(member.id),
        "pool": "",
        "kind": "worker",
        "status": standing.state.value,
        "seen": None if online else to_ms(standing.seen),
        "host": _text(member.address),
        "version": "",
        "started": None,
        "tags": _names(member.tags),
        "types": [],
        **_usage(has, taken),
        "tasks": tasks,
    }


def _usage(has: Has, taken: Taken) -> Json:
    return {
        "load": load_of(has, taken),
        "slots": {"taken": taken.tasks, "total": has.slots},
        "cpus": {"taken": taken.cpus, "total": has.cpus},
        "memory": {"taken": taken.memory, "total": has.memory},
        "gpuMemory": {"taken": taken.gpu_memory, "total": has.gpu_memory},
        "gpus": [{"name": _text(each.name), "memory": each.memory, "count": each.count} for each in has.gpus],
        "taskCount": taken.tasks,
    }


def _held(task: Task) -> Json:
    state = task.state
    return {
        "id": _text(short(task.id)),
        "name": _text(task.name),
        "type": _text(task.class_name),
        "state": _text(state.name) if state is not None else "",
        "since": to_ms(state.at) if state is not None else None,
    }


def _queue(facts: Facts) -> Json:
    page = facts.queue
    return {
        "total": page.total,
        "later": page.later,
        "tasks": [_waiting(row) for row in page.rows[:MOST_QUEUED]],
        "requests": [_request(each) for each in facts.requests[:MOST_QUEUED]],
        "totalRequests": facts.total_requests,
    }


def _waiting(row: Row) -> Json:
    task = row.queued.task
    return {
        "id": _text(short(task.id)),
        "name": _text(task.name),
        "type": _text(task.class_name),
        "pool": _text(task.pool or ""),
        "place": row.queued.place,
        "priority": row.priority,
        "needs": _text(needs_text(row.queued.needs)),
        "since": to_ms(row.since) if row.since is not None else None,
        "expected": to_ms(row.expected) if row.expected is not None else None,
        "why": [_text(reason) for reason in row.reasons],
    }


def _request(waiting: Waiting) -> Json:
    request, hold = waiting.request, waiting.hold
    expected = hold.expected if hold is not None else None
    return {
        "id": _text(request.task),
        "priority": request.priority,
        "needs": _text(needs_text(request.alternatives[0])),
        "since": to_ms(waiting.since),
        "expected": to_ms(expected) if expected is not None else None,
        "why": [_text(waiting.reason)],
    }


def _placements(recent: Iterable[TaskDocument]) -> list[Json]:
    """What started last, each task once, the newest first."""
    found: dict[TaskId, tuple[datetime, TaskDocument]] = {}
    for document in recent:
        # The state of an attempt that runs says when that one began.
        running = document.lifecycle is LifecycleStatus.RUNNING
        at = document.updated if running else document.started
        if document.executor is not None and at is not None and document.started is not None:
            found[document.id] = at, document
    newest = sorted(found.values(), key=lambda each: (each[0], each[1].id), reverse=True)
    return [
        {
            "id": _text(short(document.id)),
            "name": _text(document.name),
            "type": _text(document.class_name),
            "node": _text(document.executor),
            "at": to_ms(at),
            "status": document.lifecycle.value,
        }
        for at, document in newest[:MOST_PLACEMENTS]
    ]


def _names(names: Iterable[object]) -> list[str]:
    return sorted(map(_text, names))[:MOST_NAMES]


def _text(value: object) -> str:
    """On one line, and never so long that one name fills the page."""
    text = visible(str(value))
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
