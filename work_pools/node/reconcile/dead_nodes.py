"""Which nodes are given up: not heard of for long, by a server that was there all the time. Pure."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST_GAP = 30.0
"""Seconds between two looks. A longer gap was the server's, which heard nobody meanwhile."""


class DeadNodes:
    """``patience``: seconds of silence after which a node is given up; ``now`` is in seconds of one clock."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: dict[str, float] = {}
        self._looked = 0.0

    def given_up(self, silent: Iterable[str], now: float) -> frozenset[str]:
        """Of the nodes that are silent now, those that were at every look for long enough."""
        known = self._since if now - self._looked <= LONGEST_GAP else {}
        self._since = {name: known.get(name, now) for name in silent}
        self._looked = now
        return frozenset(name for name, since in self._since.items() if now - since >= self._patience)
