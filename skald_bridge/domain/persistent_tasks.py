"""When a persistent task that crashed is started again; pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.records import JournalRecord

DIED = frozenset({StateType.CRASHED})
"""States in which a process or its node is gone."""
LONGEST = 60.0
TOO_LATE = timedelta(days=1)
"""What crashed longer ago was somebody's to see to meanwhile."""


def starts_again(record: JournalRecord, now: datetime) -> float | None:
    """Seconds until the next attempt, doubling from 1 with each; ``None`` for any other state."""
    if record.state not in DIED or not record.attempt or now - record.at > TOO_LATE:
        return None
    return float(min(LONGEST, 2.0 ** min(record.attempt - 1, 10)))
