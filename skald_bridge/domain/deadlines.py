"""What becomes of tasks that are late; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from skald_bridge.domain.documents import given_deadline, is_persistent
from skald_bridge.domain.facts import Task
from skald_bridge.domain.lifecycle import StateType


class LatePolicy(StrEnum):
    """For tasks whose deadline is over before they started; those at work are cancelled unless ``ignore``."""

    FAIL = "fail"
    CANCEL = "cancel"
    IGNORE = "ignore"


@dataclass(frozen=True)
class End:
    """End a task that no node has: Failed, or Cancelled."""

    reason: str
    cancelled: bool


@dataclass(frozen=True)
class CancelOverdue:
    """Cancel a task that is at work."""

    reason: str


_WAITS = frozenset({StateType.SCHEDULED})
_WORKS = frozenset({StateType.RUNNING, StateType.PAUSED})


def late(task: Task, policy: LatePolicy, now: datetime) -> End | CancelOverdue | None:
    """``None`` for a task that is in time, was given no deadline, or may go on.

    A persistent task that has started goes on, and is tried again: its deadline was to start by.
    """
    deadline = given_deadline(task.labels)
    if policy is LatePolicy.IGNORE or deadline is None or now < deadline or task.state is None:
        return None
    if is_persistent(task.labels) and task.attempt:
        return None
    if task.state.type in _WAITS:
        reason = f"deadlineDateTime: it did not start by {deadline:%Y-%m-%d %H:%M:%S} UTC"
        return End(reason, cancelled=policy is LatePolicy.CANCEL)
    if task.state.type in _WORKS:
        return CancelOverdue(f"deadlineDateTime: it did not end by {deadline:%Y-%m-%d %H:%M:%S} UTC")
    return None
