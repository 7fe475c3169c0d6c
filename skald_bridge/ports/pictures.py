"""The cache in which tasks keep the newest picture of their source."""

from __future__ import annotations

from typing import Protocol


class Pictures(Protocol):
    """``name`` is that of ``cache:NAME``."""

    async def picture(self, name: str) -> bytes | None:
        """The newest picture as it is stored; ``None`` where there is none, or no longer. Raises ``Unavailable``."""
        ...

    async def findings(self, name: str) -> bytes | None:
        """What is known of that picture, as JSON; ``None`` and errors as above."""
        ...
