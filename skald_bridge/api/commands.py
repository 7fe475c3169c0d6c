"""Commands for tasks; each is answered once Prefect has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from fastapi import APIRouter

from skald_bridge.api.backend import Backend
from skald_bridge.api.models import (
    AttachmentsSet,
    Done,
    NewAttachments,
    NewStatus,
    NewTask,
    StatusSet,
)
from skald_bridge.api.problems import responses
from skald_bridge.api.reading import Given, GivenTask
from skald_bridge.domain.errors import InvalidInput, Rejected, SkaldError, Unavailable
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus
from skald_bridge.wire.skalds import read_submitted

_LOOK = "GET /api/tasks/{id} shows its state."

router = APIRouter(prefix="/api/tasks", tags=["commands"])
ONE = responses(404, 409, 503)


@router.post("/", status_code=201, responses=responses(404, 409, 503))
async def create_task(backend: Given, new: NewTask) -> Done[StatusSet]:
    """A task of the task type ``className``, from Skalds' task document."""
    given: dict[str, Any] = new.model_dump(by_alias=True, exclude_none=True)
    submitted = read_submitted({**given, "id": given.get("id") or str(uuid4())})
    with _counted(backend, "create"):
        task = await backend.create(submitted)
    return _done(task, LifecycleStatus.CREATED, "Task created")


@router.put("/{task_id}/status", responses=ONE)
async def set_status(backend: Given, task: GivenTask, wanted: NewStatus) -> Done[StatusSet]:
    """Created runs a task that has ended once more; Cancelled ends it."""
    status = LifecycleStatus(wanted.lifecycle_status)
    await (_cancel if status is LifecycleStatus.CANCELLED else _retry)(backend, task)
    return _done(task, status, f"Task status updated to {status}")


@router.put("/{task_id}/attachments", responses=ONE)
async def set_attachments(backend: Given, task: GivenTask, new: NewAttachments) -> Done[AttachmentsSet]:
    """A hot update: answered when the running task has applied it, or it is stored for its start."""
    commands = backend.bridge.commands
    with _counted(backend, "update"):
        outcome, revision, reason = await commands.update(task, new.attachments)
        if outcome == "rejected":
            raise InvalidInput(
                f"attachments: the task rejected revision {revision}: {reason}",
                remedy="It goes on with the attachments it has.",
            )
    return Done(
        message="Task attachments updated successfully",
        data=AttachmentsSet(
            task_id=task,
            attachments=new.attachments,
            outcome="applied" if outcome == "applied" else "stored",
            revision=revision,
        ),
    )


@router.delete("/{task_id}", responses=ONE)
async def delete_task(backend: Given, task: GivenTask) -> Done[StatusSet]:
    """Cancels it; nothing is deleted."""
    await _cancel(backend, task)
    return _done(task, LifecycleStatus.CANCELLED, "Task cancelled successfully")


@router.post("/{task_id}/pause", responses=ONE)
async def pause_task(backend: Given, task: GivenTask) -> Done[StatusSet]:
    """Freezes a running task; it keeps what it holds."""
    with _counted(backend, "pause"):
        await _ours(backend, task, "paused")
        await backend.engine.pause(task)
    return _done(task, LifecycleStatus.PAUSED, "Task paused")


@router.post("/{task_id}/resume", responses=ONE)
async def resume_task(backend: Given, task: GivenTask) -> Done[StatusSet]:
    """Lets a paused task go on."""
    with _counted(backend, "resume"):
        await _ours(backend, task, "resumed")
        await backend.engine.resume(task)
    return _done(task, LifecycleStatus.RUNNING, "Task resumed")


@router.post("/{task_id}/retry", responses=ONE)
async def retry_task(backend: Given, task: GivenTask) -> Done[StatusSet]:
    """Runs a task that has ended once more."""
    await _retry(backend, task)
    return _done(task, LifecycleStatus.CREATED, "Task is run once more")


async def _cancel(backend: Backend, task: TaskId) -> None:
    """One that is cancelled already stays so: a client may repeat what it got no answer to."""
    with _counted(backend, "cancel"):
        if await backend.bridge.commands.cancel(task):
            return
        status = await _status(backend, task)
        if status is not LifecycleStatus.CANCELLED:
            raise Rejected(f"Task {task} is {status}: there is nothing to cancel", remedy=_LOOK)


async def _retry(backend: Backend, task: TaskId) -> None:
    with _counted(backend, "retry"):
        await _ours(backend, task, "run once more")
        await backend.bridge.commands.retry(task)


async def _status(backend: Backend, task: TaskId) -> LifecycleStatus | None:
    """As Prefect has it; of a task on a Skalds node as the archive has it."""
    stored = await backend.archive.get(task)
    if stored is not None and stored.foreign:
        return stored.lifecycle
    state = (await backend.engine.task(task)).state
    return state.lifecycle if state is not None else None


async def _ours(backend: Backend, task: TaskId, done: str) -> None:
    """Raises ``Rejected`` for a task that Prefect does not run."""
    if await backend.bridge.commands.is_foreign(task):
        raise Rejected(f"Task {task} is not Prefect's: it cannot be {done}", remedy=_LOOK)


@contextmanager
def _counted(backend: Backend, kind: str) -> Iterator[None]:
    """For the metrics: how the command ends."""
    count = backend.bridge.commands.count
    try:
        yield
    except SkaldError as error:
        count(kind, "unavailable" if isinstance(error, Unavailable) else "rejected")
        raise
    except Exception:
        count(kind, "failed")
        raise
    count(kind, "done")


def _done(task: TaskId, status: LifecycleStatus, message: str) -> Done[StatusSet]:
    return Done(message=message, data=StatusSet(task_id=task, status=status))
