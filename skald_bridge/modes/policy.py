"""What an edge does with an entry whose task has ended, or is due; pure. Times are seconds of one clock."""

from __future__ import annotations

from dataclasses import dataclass, replace

from skald_bridge.domain.lifecycle import StateType

FIRST_DELAY = 1.0
LONGEST_DELAY = 60.0
STEADY = 60.0
"""A task that ran this long was well: the next restart waits the first delay again."""


@dataclass(frozen=True)
class Track:
    """One entry's way: the run it has now, or when it is due, or how it ended for good."""

    id: str
    persistent: bool
    run: str | None = None
    since: float = 0.0
    runs: int = 0
    restarts: int = 0
    due: float | None = 0.0
    result: StateType | None = None

    def started(self, run: str, now: float) -> Track:
        return replace(self, run=run, since=now, runs=self.runs + 1, due=None)


def ended(track: Track, state: StateType, now: float) -> Track:
    """The entry's task reached a terminal state.

    A persistent entry is due again after a delay that doubles while its tasks end early; a cancelled one
    stays down, since a person wanted that.
    """
    if not track.persistent or state is StateType.CANCELLED:
        return replace(track, run=None, due=None, result=state)
    restarts = 0 if now - track.since >= STEADY else track.restarts
    delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0**restarts)
    return replace(track, run=None, due=now + delay, restarts=restarts + 1)


def exit_code(tracks: list[Track]) -> int:
    """1 when an entry failed for good, else 0."""
    return int(any(track.result in (StateType.FAILED, StateType.CRASHED) for track in tracks))
