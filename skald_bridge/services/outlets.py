"""The relays of a bridge: what is stored here, on its way to Kafka, Redis and MongoDB."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Protocol

from skald_bridge.domain.attempts import FOLLOW_FAILURE, failure_before, may_follow_failure
from skald_bridge.domain.commands import Controller
from skald_bridge.domain.documents import for_controller
from skald_bridge.domain.effects import EndPulse
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.mirror import ENDS
from skald_bridge.domain.recordings import Recording
from skald_bridge.domain.records import JournalRecord, TaskDocument
from skald_bridge.ports import Archive, Clock, Journal, Positions, Publisher, Pulse, Recordings
from skald_bridge.services.relay import LINGER, Feed, Relay
from skald_bridge.wire.topics import messages_of, update_of

ERROR_TTL = timedelta(hours=1)


class Changes(Protocol):
    """The archive that is stored here, as a feed."""

    async def changed(self, after: int, limit: int) -> list[tuple[int, TaskDocument]]: ...

    async def revised(self, after: int, limit: int) -> list[tuple[int, TaskDocument]]: ...


def to_kafka(
    journal: Journal, changes: Changes, positions: Positions, publisher: Publisher
) -> list[Relay[JournalRecord] | Relay[TaskDocument]]:
    async def states(records: Sequence[JournalRecord]) -> None:
        await publisher.publish([message for record in records for message in messages_of(record)])

    async def updates(documents: Sequence[TaskDocument]) -> None:
        await publisher.publish([update_of(document) for document in documents])

    return [
        Relay("kafka", states_of(journal), states, positions),
        Relay("kafka-updates", changes.revised, updates, positions),
    ]


def to_redis(
    changes: Changes, positions: Positions, pulse: Pulse, clock: Clock
) -> list[Relay[JournalRecord] | Relay[TaskDocument]]:
    """Ends of tasks that have not begun again; heartbeats are the pulse's own duty."""

    async def ends(documents: Sequence[TaskDocument]) -> None:
        ended = [
            EndPulse(document.id, value, document.exception)
            for document in documents
            if (value := ENDS.get(document.lifecycle)) is not None
        ]
        await pulse.end(ended, clock.now())

    return [Relay("redis", changes.changed, ends, positions)]


def to_people(journal: Journal, positions: Positions, pulse: Pulse, clock: Clock) -> Relay[JournalRecord]:
    """Why attempts failed whose tasks go on; what is older than the pulse keeps anything is not told any more."""

    async def errors(records: Sequence[JournalRecord]) -> None:
        now = clock.now()
        for record in records:
            if may_follow_failure(record) and now - record.at < ERROR_TTL:
                before = await _before(journal, record)
                if (failure := failure_before(record, before)) is not None:
                    await pulse.note_error(record.task, failure, now)

    return Relay("errors", states_of(journal, FOLLOW_FAILURE), errors, positions, linger=LINGER)


def to_mongo(
    changes: Changes, positions: Positions, archive: Archive, controller: Controller
) -> list[Relay[JournalRecord] | Relay[TaskDocument]]:
    async def put(documents: Sequence[TaskDocument]) -> None:
        await archive.put(
            [for_controller(document, upstream=controller is Controller.UPSTREAM) for document in documents]
        )

    return [Relay("mongodb", changes.changed, put, positions, linger=LINGER)]


def recordings_to_mongo(
    feed: Feed[Recording], positions: Positions, recordings: Recordings
) -> Relay[Recording]:
    async def add(some: Sequence[Recording]) -> None:
        await recordings.add(some)

    return Relay("mongodb-recordings", feed, add, positions)


async def _before(journal: Journal, record: JournalRecord) -> JournalRecord | None:
    told = await journal.read(task=record.task)
    return next((each for _, each in told if each.sequence == record.sequence - 1), None)


def states_of(journal: Journal, among: Collection[StateType] | None = None) -> Feed[JournalRecord]:
    """The journal as a feed; of the states ``among`` others, and of the newest, where those are named."""

    async def after(position: int, limit: int) -> list[tuple[int, JournalRecord]]:
        if among is None:
            return await journal.read(after=position, limit=limit)
        return await journal.skim(among, after=position, limit=limit)

    return after
