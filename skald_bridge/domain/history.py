"""The order of a task's states."""

from __future__ import annotations

from collections.abc import Iterable

from skald_bridge.domain.facts import State


def ordered(states: Iterable[State]) -> list[State]:
    """Oldest first; equal times are told apart by the id, which counts up with time (UUID 7)."""
    return sorted(states, key=lambda state: (state.at, state.id))
