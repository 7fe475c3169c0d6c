"""Grants of the fleet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from skald_bridge.domain.placements import Kept


class GrantLog(Protocol):
    """Grants of the fleet, for the bridge's next process. No method raises: what cannot be kept is lost."""

    def read(self) -> list[Kept]:
        """Those that had not ended, oldest first."""
        ...

    def granted(self, kept: Kept) -> None: ...

    def ended(self, task_id: str) -> None: ...

    def shorten(self, live: Callable[[], Iterable[Kept]]) -> None:
        """Where it has grown long, keep no more than what is ``live``."""
        ...
