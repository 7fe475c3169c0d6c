"""Hears of documents that others write, so that nobody need look for them all the time."""

from __future__ import annotations

import logging
from collections.abc import Callable

from skald_bridge.domain.errors import Unavailable
from skald_bridge.ports import Documents
from skald_bridge.services.document_intake import DocumentIntake

_log = logging.getLogger("skald_bridge.documents")


class ChangeWatcher:
    """Wakes the intake when the store tells of a change; where it does not, the intake looks often."""

    PATIENCE = 60.0

    def __init__(
        self, documents: Documents, document_intake: DocumentIntake, changed: Callable[[], None]
    ) -> None:
        self._documents = documents
        self._document_intake = document_intake
        self._changed = changed

    async def step(self) -> float:
        try:
            async with self._documents.changes() as changes:
                self._document_intake.is_told = True
                self._changed()
                async for _ in changes:
                    self._changed()
        except Unavailable as error:
            _log.info("looking for documents twice a second: %s", error.message)
            return self.PATIENCE
        finally:
            self._document_intake.is_told = False
        return 0.0
