"""Which flow run this code belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect.context import FlowRunContext, TaskRunContext


@dataclass(frozen=True)
class CurrentRun:
    """``count`` is the attempt, from 1; ``labels`` as the run had them when it started.

    ``parameter`` is the name of the flow's attachments parameter, ``given`` are the names of the fields that the run
    was made with; ``None`` inside a subtask.
    """

    id: UUID
    count: int = 1
    labels: dict[str, Any] = field(default_factory=dict)
    parameter: str = "attachments"
    given: frozenset[str] | None = None


def current_run() -> CurrentRun | None:
    """The flow run of the calling code, also inside one of its subtasks; ``None`` outside any."""
    if (context := FlowRunContext.get()) and (run := context.flow_run):
        names = context.flow.parameters.properties if context.flow else {}
        parameter = next(iter(names), "attachments")
        attachments = run.parameters.get(parameter)
        given = frozenset(attachments) if isinstance(attachments, dict) else frozenset()
        return CurrentRun(run.id, run.run_count or 1, dict(run.labels or {}), parameter, given)
    if (task := TaskRunContext.get()) and (run_id := task.task_run.flow_run_id):
        return CurrentRun(run_id)
    return None
