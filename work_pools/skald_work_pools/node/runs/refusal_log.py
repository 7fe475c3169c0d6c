"""Which refusals were logged already: each reason of a run once."""

from __future__ import annotations

from cachetools import FIFOCache

REMEMBERED = 10_000
BRIEF = 2.0
"""Seconds a run may wait for a busy node before it is told so."""


class RefusalLog:
    """``now`` is any clock's seconds."""

    def __init__(self) -> None:
        self._seen: FIFOCache[str, tuple[float, str | None]] = FIFOCache(REMEMBERED)

    def worth_telling(self, run_id: str, reason: str, permanent: bool, now: float) -> bool:
        """Whether the reason is news; a node that is only busy is not, at first."""
        since, logged = self._seen.get(run_id, (now, None))
        if logged == reason or (not permanent and now - since < BRIEF):
            self._seen[run_id] = (since, logged)
            return False
        self._seen[run_id] = (since, reason)
        return True

    def forget(self, run_id: str) -> None:
        self._seen.pop(run_id, None)
