"""Skalds' JSON: task documents and task events, camelCase, times in Unix milliseconds; pure.

What goes out is what a Skalds installation reads plus this product's own fields. What comes in may be spelled
in camelCase or, as the documents' own client example does, in snake_case.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from skald_bridge.domain.commands import NewTask
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.ids import NodeId, StateId, TaskId, check_id
from skald_bridge.domain.lifecycle import LifecycleStatus, StateType
from skald_bridge.domain.records import JournalRecord, TaskDocument
from skald_bridge.domain.values import check_name, check_values, read_json

INITIATOR = "skald-bridge"
"""Initiator of every event of ours, so that we don't take our own messages for commands."""
LONGEST_NAME, LONGEST_DESCRIPTION, MOST_DEPENDENCIES = 200, 4000, 1000


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")


_M = TypeVar("_M", bound=_Wire)


class TaskEvent(_Wire):
    """A record of the topics ``task.assign``, ``task.cancel`` and ``task.update.attachment``."""

    id: str | None = None
    title: str | None = None
    initiator: str | None = None
    recipient: str | None = None
    create_date_time: int = 0
    update_date_time: int = 0
    task_ids: list[str] = Field(default_factory=list)


class Submitted(_Wire):
    """A task document as others write it into MongoDB."""

    id: str
    class_name: str
    source: str = ""
    name: str | None = None
    description: str | None = None
    executor: str | None = None
    dependencies: list[str] | None = None
    mode: str = "Passive"
    is_persistent: bool = False
    create_date_time: int = 0
    update_date_time: int = 0
    deadline_date_time: int = 0
    lifecycle_status: LifecycleStatus = LifecycleStatus.CREATED
    priority: int = Field(0, ge=0, le=10)
    attachments: dict[str, Any] | None = None


class _WorkerUpdate(_Wire):
    attachments: dict[str, Any]


def read_event(data: bytes | str) -> TaskEvent:
    """Raises ``InvalidInput`` that names the field."""
    return _read(TaskEvent, data)


def read_submitted(data: bytes | str | Mapping[str, Any]) -> Submitted:
    """Raises ``InvalidInput`` that names the field."""
    return _read(Submitted, data)


def new_task_of(submitted: Submitted, now: datetime) -> NewTask:
    """What the document asks for. Raises ``InvalidInput`` that names the field."""
    _check_fields(submitted)
    created, deadline = submitted.create_date_time, submitted.deadline_date_time
    return NewTask(
        id=TaskId(submitted.id),
        class_name=submitted.class_name,
        source=submitted.source or "MongoDB",
        created=_ms("createDateTime", created) if created else now,
        name=submitted.name,
        description=submitted.description,
        executor=NodeId(submitted.executor) if submitted.executor else None,
        dependencies=tuple(TaskId(one) for one in dict.fromkeys(submitted.dependencies or ())),
        mode=submitted.mode,
        is_persistent=submitted.is_persistent,
        deadline=_ms("deadlineDateTime", deadline) if deadline > 0 else None,
        priority=submitted.priority,
        attachments=submitted.attachments or {},
    )


def _check_fields(submitted: Submitted) -> None:
    check_id(submitted.id)
    check_name(submitted.class_name, "className", LONGEST_NAME, empty=False)
    for field in ("source", "name", "executor", "mode"):
        check_name(getattr(submitted, field) or "", field, LONGEST_NAME)
    check_name(submitted.description or "", "description", LONGEST_DESCRIPTION, lines=True)
    wanted = submitted.dependencies or []
    if len(wanted) > MOST_DEPENDENCIES:
        raise InvalidInput(
            f"dependencies: there are {len(wanted)}", remedy=f"Name at most {MOST_DEPENDENCIES} tasks."
        )
    for index, one in enumerate(wanted):
        try:
            check_id(one)
        except InvalidInput as error:
            said = error.message.removeprefix("id: ")
            raise InvalidInput(f"dependencies[{index}]: {said}", remedy=error.remedy) from error
    if submitted.id in wanted:
        raise InvalidInput("dependencies: a task cannot wait for itself", remedy="Leave its own id out.")
    check_values(submitted.attachments, "attachments")


def new_task_json(new: NewTask) -> dict[str, Any]:
    """Skalds' document of a task that is Created."""
    return {
        "id": new.id,
        "className": new.class_name,
        "source": new.source,
        "name": new.name or new.id,
        "description": new.description,
        "executor": new.executor,
        "dependencies": list(new.dependencies) or None,
        "mode": new.mode,
        "isPersistent": new.is_persistent,
        "createDateTime": to_ms(new.created),
        "updateDateTime": to_ms(new.created),
        "deadlineDateTime": to_ms(new.deadline) if new.deadline else 0,
        "lifecycleStatus": LifecycleStatus.CREATED.value,
        "priority": new.priority,
        "attachments": new.attachments,
    }


def read_update(data: bytes | str) -> dict[str, Any]:
    """The attachments of a record of ``taskworker.update``. Raises ``InvalidInput`` that names the field."""
    attachments = _read(_WorkerUpdate, data).attachments
    check_values(attachments)
    return attachments


def record_json(record: JournalRecord) -> dict[str, Any]:
    """A superset of TaskEvent; ``at`` keeps the microseconds."""
    return {
        "id": record.id,
        "title": record.lifecycle.value,
        "initiator": INITIATOR,
        "recipient": record.node,
        "createDateTime": to_ms(record.at),
        "updateDateTime": to_ms(record.at),
        "taskIds": [record.task],
        "sequence": record.sequence,
        "className": record.class_name,
        "lifecycleStatus": record.lifecycle.value,
        "state": record.state.value,
        "stateName": record.name,
        "at": record.at.isoformat(),
        "message": record.message,
        "node": record.node,
        "attempt": record.attempt,
    }


def record_of(data: Mapping[str, Any]) -> JournalRecord:
    """The inverse of ``record_json``."""
    return JournalRecord(
        id=StateId(data["id"]),
        task=TaskId(data["taskIds"][0]),
        sequence=data["sequence"],
        class_name=data["className"],
        lifecycle=LifecycleStatus(data["lifecycleStatus"]),
        state=StateType(data["state"]),
        name=data["stateName"],
        at=datetime.fromisoformat(data["at"]),
        message=data["message"],
        node=NodeId(data["node"]) if data["node"] is not None else None,
        attempt=data["attempt"],
    )


def document_json(document: TaskDocument) -> dict[str, Any]:
    """The contract's fields first, then ours; the times of ours are ISO 8601 with microseconds."""
    return {
        "id": document.id,
        "className": document.class_name,
        "source": document.source,
        "name": document.name,
        "description": document.extra.get("description"),
        "executor": document.executor,
        "dependencies": document.extra.get("dependencies") or None,
        "mode": document.mode,
        "isPersistent": document.is_persistent,
        "createDateTime": to_ms(document.created),
        "updateDateTime": to_ms(document.updated),
        "deadlineDateTime": to_ms(document.deadline) if document.deadline else 0,
        "lifecycleStatus": document.lifecycle.value,
        "priority": document.priority,
        "attachments": document.attachments,
        "stateId": document.state_id,
        "sequence": document.sequence,
        "stateName": document.state_name,
        "revision": document.revision,
        "attempt": document.attempt,
        "node": document.executor,
        "exception": document.exception,
        "created": document.created.isoformat(),
        "updated": document.updated.isoformat(),
        "started": _iso(document.started),
        "ended": _iso(document.ended),
        "durationSeconds": _duration(document),
        "result": document.result,
        "extra": document.extra,
    }


def document_of(data: Mapping[str, Any]) -> TaskDocument:
    """The inverse of ``document_json``."""
    executor, deadline = data["executor"], data["deadlineDateTime"]
    return TaskDocument(
        id=TaskId(data["id"]),
        class_name=data["className"],
        source=data["source"],
        name=data["name"],
        executor=NodeId(executor) if executor is not None else None,
        mode=data["mode"],
        is_persistent=data["isPersistent"],
        created=datetime.fromisoformat(data["created"]),
        updated=datetime.fromisoformat(data["updated"]),
        deadline=from_ms(deadline) if deadline else None,
        lifecycle=LifecycleStatus(data["lifecycleStatus"]),
        priority=data["priority"],
        attachments=data["attachments"],
        state_id=StateId(data["stateId"]),
        sequence=data["sequence"],
        state_name=data["stateName"],
        revision=data["revision"],
        attempt=data["attempt"],
        exception=data["exception"],
        started=_moment(data["started"]),
        ended=_moment(data["ended"]),
        extra=data["extra"],
        result=data.get("result"),
    )


def to_ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def from_ms(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _ms(field: str, ms: int) -> datetime:
    try:
        return from_ms(ms)
    except (OverflowError, ValueError, OSError) as error:
        raise InvalidInput(
            f"{field}: no time has this number", remedy="Give Unix time in milliseconds; 0 is none."
        ) from error


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None


def _duration(document: TaskDocument) -> float | None:
    if document.started is None or document.ended is None:
        return None
    return (document.ended - document.started).total_seconds()


def _read(model: type[_M], data: bytes | str | Mapping[str, Any]) -> _M:
    try:
        return model.model_validate(read_json(data) if isinstance(data, (bytes, str)) else data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        named = ".".join(str(part) for part in first["loc"])[:LONGEST_NAME] or model.__name__
        field = named.encode(errors="backslashreplace").decode()
        raise InvalidInput(
            f"{field}: {first['msg'][:LONGEST_NAME]}",
            remedy="Send it as Skalds' documents describe the field.",
        ) from error
