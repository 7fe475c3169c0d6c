"""Identifiers, told apart by type."""

from __future__ import annotations

import re
from typing import NewType

TaskId = NewType("TaskId", str)
"""The flow run's id, 36 characters in lower case; or the id that Skalds gave the task, any text."""

StateId = NewType("StateId", str)
"""A flow-run state's id; also the id of its journal record and of Prefect's event."""

NodeId = NewType("NodeId", str)
"""A worker's name."""

_RUN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def short(task: TaskId) -> str:
    """For people: the beginning of a UUID, any other id whole."""
    return task[:8] if _RUN.fullmatch(task) else task
