"""Documents, nodes and heartbeats in the shapes of Skalds' answers; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from skald_bridge.api.models import TaskHeartbeatOut, TaskOut
from skald_bridge.api.system_models import Kind, SkaldOut
from skald_bridge.domain.documents import NO_SPAN, document_of, next_record
from skald_bridge.domain.facts import Node, Task
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus
from skald_bridge.domain.mirror import ENDS
from skald_bridge.domain.pulse import NodeBeat, NodeMode, RunningTask, Vitals
from skald_bridge.domain.records import TaskDocument
from skald_bridge.domain.skalds_nodes import SkaldsNode
from skald_bridge.wire.skalds import to_ms

COUNTER = 200
FORGOTTEN = timedelta(hours=1)
"""Nodes that have been away for longer are not listed."""


def heartbeat_of(document: TaskDocument, vitals: Vitals) -> int:
    """What Skalds' clients read: an ended task's end, a live one's counter, 0 where none is heard."""
    if document.lifecycle in ENDS:
        return ENDS[document.lifecycle]
    return vitals.heartbeat if is_counting(vitals) and vitals.heartbeat is not None else 0


def is_counting(vitals: Vitals) -> bool:
    """Whether it is a beat, not an end of an earlier attempt."""
    return vitals.heartbeat is not None and 0 <= vitals.heartbeat < COUNTER


def exception_of(document: TaskDocument, vitals: Vitals) -> str | None:
    return document.exception or (vitals.exception if document.lifecycle in ENDS else None)


def task_out(document: TaskDocument, vitals: Vitals) -> TaskOut:
    return TaskOut(
        id=document.id,
        class_name=document.class_name,
        lifecycle_status=document.lifecycle,
        executor=document.executor,
        create_date_time=to_ms(document.created),
        update_date_time=to_ms(document.updated),
        mode=document.mode,
        attachments=document.attachments,
        heartbeat=heartbeat_of(document, vitals),
        error=vitals.error,
        exception=exception_of(document, vitals),
        priority=document.priority,
    )


def task_heartbeat_out(document: TaskDocument, vitals: Vitals, now: datetime) -> TaskHeartbeatOut:
    beat, live = heartbeat_of(document, vitals), is_counting(vitals)
    return TaskHeartbeatOut(
        task_id=document.id,
        heartbeat=beat,
        status=document.lifecycle,
        is_alive=live and document.lifecycle not in ENDS,
        is_assigning=document.lifecycle is LifecycleStatus.ASSIGNING,
        error=vitals.error,
        exception=exception_of(document, vitals),
        last_update=to_ms(now if live else document.updated),
        heartbeat_history=[beat],
    )


def fresh_document(task: Task) -> TaskDocument | None:
    """The document of a task that the archive does not have yet; ``None`` while it has no state."""
    if task.state is None:
        return None
    first = next_record(task.state, None, task=task.id, class_name=task.class_name)
    return document_of(task, first, NO_SPAN)


@dataclass(frozen=True)
class Skald:
    """A node as Skalds sees it. ``seen`` is when it was heard last."""

    id: NodeId
    mode: NodeMode
    online: bool
    seen: datetime
    task_types: tuple[str, ...] = ()
    tasks: tuple[RunningTask, ...] = ()
    heartbeat: int = 0
    started: datetime | None = None
    room: float = 1.0
    """Tasks it takes at once: its limit, else one for each of its CPUs."""

    @property
    def seen_ms(self) -> int:
        return to_ms(self.seen)

    @property
    def utilization(self) -> float:
        """Percent of its room that is taken, at most 100."""
        return min(100.0, round(100 * len(self.tasks) / self.room, 1))


def skalds_of(
    nodes: Iterable[Node],
    beats: Sequence[NodeBeat],
    at: datetime | None,
    heartbeats: Mapping[NodeId, int],
    now: datetime,
) -> dict[NodeId, Skald]:
    """By id, sorted. ``beats`` were sent ``at``; a name in several pools is one Skald."""
    beating = {beat.id: beat for beat in beats}
    found: dict[NodeId, Skald] = {}
    for node in sorted(nodes, key=lambda node: (node.id, not node.online)):
        beat = beating.get(node.id)
        seen = at if beat is not None and at is not None else node.last_seen
        if node.id in found or seen is None or (beat is None and now - seen > FORGOTTEN):
            continue
        found[node.id] = Skald(
            node.id,
            beat.mode if beat is not None else NodeMode.NODE,
            beat is not None,
            seen,
            beat.task_types if beat is not None else tuple(node.capacity.get("task_types") or ()),
            beat.tasks if beat is not None else (),
            heartbeats.get(node.id, 0) if beat is not None else 0,
            _moment(node.capacity.get("started")),
            float(node.capacity.get("limit") or max(1.0, node.capacity.get("cpus") or 1.0)),
        )
    return found


def guest_skald(
    guest: SkaldsNode,
    documents: Mapping[TaskId, TaskDocument],
    heartbeats: Mapping[NodeId, int],
    now: datetime,
) -> Skald:
    """A node of Skalds' own. ``documents`` tell the types of its tasks."""
    tasks = tuple(
        RunningTask(task, documents[task].class_name if task in documents else "", guest.id)
        for task in sorted(guest.tasks)
    )
    online = guest.online(now)
    beat = heartbeats.get(guest.id, 0)
    return Skald(guest.id, guest.mode, online, guest.seen, guest.task_types, tasks, beat)


def skald_out(skald: Skald) -> SkaldOut:
    return SkaldOut(
        id=skald.id,
        type=kind_of(skald),
        status="online" if skald.online else "offline",
        last_heartbeat=str(skald.seen_ms),
        supported_tasks=list(skald.task_types),
        current_tasks=[task.id for task in skald.tasks],
        heartbeat=skald.heartbeat,
        task_count=len(skald.tasks),
    )


def kind_of(skald: Skald) -> Kind:
    return "edge" if skald.mode is NodeMode.EDGE else "node"


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
