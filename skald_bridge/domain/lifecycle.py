"""Prefect states in Skalds' words."""

from __future__ import annotations

from enum import StrEnum


class StateType(StrEnum):
    """Prefect's state types."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED})


class LifecycleStatus(StrEnum):
    """Skalds' ``lifecycleStatus``."""

    CREATED = "Created"
    ASSIGNING = "Assigning"
    RUNNING = "Running"
    PAUSED = "Paused"
    FINISHED = "Finished"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


_LIFECYCLE = {
    StateType.SCHEDULED: LifecycleStatus.CREATED,
    StateType.PENDING: LifecycleStatus.ASSIGNING,
    StateType.RUNNING: LifecycleStatus.RUNNING,
    StateType.PAUSED: LifecycleStatus.PAUSED,
    StateType.CANCELLING: LifecycleStatus.RUNNING,
    StateType.COMPLETED: LifecycleStatus.FINISHED,
    StateType.FAILED: LifecycleStatus.FAILED,
    StateType.CRASHED: LifecycleStatus.FAILED,
    StateType.CANCELLED: LifecycleStatus.CANCELLED,
}

CLOSED = frozenset(_LIFECYCLE[state] for state in TERMINAL)
"""Of tasks that have ended."""


def lifecycle_of(state: StateType) -> LifecycleStatus:
    """A task being cancelled still runs, as Skalds sees it, until its process is gone."""
    return _LIFECYCLE[state]
