"""Identifiers, told apart by type."""

from __future__ import annotations

from typing import NewType

TaskId = NewType("TaskId", str)
"""The flow run's id, 36 characters in lower case; or the id that Skalds gave the task, any text."""

StateId = NewType("StateId", str)
"""A flow-run state's id; also the id of its journal record and of Prefect's event."""

NodeId = NewType("NodeId", str)
"""A worker's name."""
