"""Persistent tasks whose process or node died are started again; those whose own code failed are not."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from skald_bridge.domain.errors import NotFound, Rejected, Unavailable
from skald_bridge.domain.persistent_tasks import DIED, starts_again
from skald_bridge.domain.records import JournalRecord
from skald_bridge.ports import Archive, Clock, Engine, Journal, Positions
from skald_bridge.services.relay import LINGER, Relay
from skald_bridge.services.relays import states_of

PATIENCE = timedelta(minutes=2)
"""For a document to be written; one that cannot be was set aside."""


def revivals(
    journal: Journal, archive: Archive, positions: Positions, engine: Engine, clock: Clock
) -> Relay[JournalRecord]:
    """Reads the journal on from its own position, so a death while the bridge was dead counts too."""

    async def revive(records: Sequence[JournalRecord]) -> None:
        now = clock.now()
        delays = [(record, starts_again(record, now)) for record in records]
        crashed = [(record, seconds) for record, seconds in delays if seconds is not None]
        documents = await archive.read([record.task for record, _ in crashed]) if crashed else {}
        for record, _ in crashed:
            document = documents.get(record.task)
            late = document is None or document.sequence < record.sequence
            if late and now - record.at < PATIENCE:
                raise Unavailable(f"The document of task {record.task} is not written yet")
        persistent = [
            (record, seconds)
            for record, seconds in crashed
            if record.task in documents
            and documents[record.task].is_persistent
            and documents[record.task].state_id == record.id
        ]
        found = await engine.read([record.task for record, _ in persistent]) if persistent else {}
        for record, seconds in persistent:
            # Of a death that was seen to already the next attempt may have ended by now.
            task = found.get(record.task)
            if task is None or task.state is None or task.state.id != record.id:
                continue
            with suppress(NotFound, Rejected):
                # Its node has seen to its next attempt, or somebody else was quicker.
                await engine.retry(record.task, after=seconds)

    return Relay("persistent", states_of(journal, DIED), revive, positions, linger=LINGER)
