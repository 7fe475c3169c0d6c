"""Hears of documents that others write, so that nobody need look for them all the time."""

from __future__ import annotations

import logging
from collections.abc import Callable

from skald_bridge.domain.errors import Unavailable
from skald_bridge.ports import Documents
from skald_bridge.services.documents import Desk

_log = logging.getLogger("skald_bridge.documents")


class Bell:
    """Wakes the desk when the store tells of a change; where it does not, the desk looks often."""

    PATIENCE = 60.0

    def __init__(self, documents: Documents, desk: Desk, ring: Callable[[], None]) -> None:
        self._documents = documents
        self._desk = desk
        self._ring = ring

    async def step(self) -> float:
        try:
            async with self._documents.changes() as changes:
                self._desk.is_told = True
                self._ring()
                async for _ in changes:
                    self._ring()
        except Unavailable as error:
            _log.info("looking for documents twice a second: %s", error.message)
            return self.PATIENCE
        finally:
            self._desk.is_told = False
        return 0.0
