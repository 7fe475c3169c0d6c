"""Attempts that failed while their task goes on; pure."""

from __future__ import annotations

from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.records import JournalRecord

AWAITING_RETRY = "AwaitingRetry"
FOLLOW_FAILURE = frozenset({StateType.SCHEDULED})
"""States in which a task may be after an attempt that failed."""
_FAILED = frozenset({StateType.FAILED, StateType.CRASHED})


def may_follow_failure(record: JournalRecord) -> bool:
    """Whether the record before it is worth a look."""
    return record.state in FOLLOW_FAILURE and record.sequence > 1


def failure_before(record: JournalRecord, before: JournalRecord | None) -> str | None:
    """Why the attempt failed that ``record`` makes good for; ``None`` where none failed.

    A task that Prefect itself tries again was never Failed: its error is the message of the waiting state.
    """
    if not may_follow_failure(record):
        return None
    if before is not None and before.state in _FAILED:
        return before.message or before.name
    ended = before is not None and before.state.terminal
    return record.message if record.name == AWAITING_RETRY and not ended else None
