"""What the node around a process offers to the engine in it, and the run that it has handed over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import State


class Host:
    """What the process around a run offers its engine; the node's child overrides all of it."""

    def intent(self) -> str | None:
        """``cancel`` or ``reschedule`` when the node's SIGTERM is on its way."""
        return None

    def suspension_seen(self) -> bool:
        """Whether the run may have been suspended since the last look; reading it resets it."""
        return False

    def policy_stored(self) -> bool:
        """Whether the flow's retry policy is on the run already."""
        return False

    def stated(self, state: State[Any]) -> None:
        """The engine's proposal led to this state."""


@dataclass
class Handed:
    """``run_id``: the run that the node handed to this process. ``books``: the node stores its version and policy."""

    host: Host = field(default_factory=Host)
    run_id: UUID | None = None
    books: bool = True


handed = Handed()
"""Of this process."""
