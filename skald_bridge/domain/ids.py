"""Identifiers, told apart by type."""

from __future__ import annotations

from typing import NewType

TaskId = NewType("TaskId", str)
"""A flow run's id: 36 characters, lower case."""

StateId = NewType("StateId", str)
"""A flow-run state's id; also the id of its journal record and of Prefect's event."""

NodeId = NewType("NodeId", str)
"""A worker's name."""
