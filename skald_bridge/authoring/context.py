"""Which flow run this code belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect.context import FlowRunContext, TaskRunContext


@dataclass(frozen=True)
class CurrentRun:
    """``count`` is the attempt, from 1; ``labels`` as the run had them when it started.

    ``parameter`` is the name of the flow's attachments parameter.
    """

    id: UUID
    count: int = 1
    labels: dict[str, Any] = field(default_factory=dict)
    parameter: str = "attachments"


def current_run() -> CurrentRun | None:
    """The flow run of the calling code, also inside one of its subtasks; ``None`` outside any."""
    if (context := FlowRunContext.get()) and (run := context.flow_run):
        names = context.flow.parameters.properties if context.flow else {}
        return CurrentRun(
            run.id, run.run_count or 1, dict(run.labels or {}), next(iter(names), "attachments")
        )
    if (task := TaskRunContext.get()) and (run_id := task.task_run.flow_run_id):
        return CurrentRun(run_id)
    return None
