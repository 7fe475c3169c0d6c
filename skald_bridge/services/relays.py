"""The relays of a bridge: what is stored here, on its way to Kafka, Redis and MongoDB."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from skald_bridge.domain.attempts import FOLLOW_FAILURE, failure_before, may_follow_failure
from skald_bridge.domain.commands import Controller
from skald_bridge.domain.dead_letters import Kind
from skald_bridge.domain.documents import bare, for_controller
from skald_bridge.domain.effects import EndPulse
from skald_bridge.domain.errors import Unavailable, Undeliverable
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.messages import Message
from skald_bridge.domain.mirror import ENDS
from skald_bridge.domain.recordings import Recording
from skald_bridge.domain.records import JournalRecord, TaskDocument
from skald_bridge.ports import Archive, Clock, Journal, Positions, Publisher, Pulse, Recordings
from skald_bridge.services.dead_letters import DeadLetters
from skald_bridge.services.relay import LINGER, Feed, Relay
from skald_bridge.wire.topics import STATE, UPDATE, messages_of, update_of

ERROR_TTL = timedelta(hours=1)
UNWRITABLE = "What it says of itself cannot be stored here; `skald task` shows it."


class Changes(Protocol):
    """The archive that is stored here, as a feed."""

    async def changed(self, after: int, limit: int) -> list[tuple[int, TaskDocument]]: ...

    async def revised(self, after: int, limit: int) -> list[tuple[int, TaskDocument]]: ...


def to_kafka(
    journal: Journal, changes: Changes, positions: Positions, publisher: Publisher, dead_letters: DeadLetters
) -> list[Relay[JournalRecord] | Relay[TaskDocument]]:
    async def publish(messages: Sequence[Message]) -> None:
        for message, why in await publisher.publish(messages):
            name = f"{message.topic} of task {message.key}"
            await dead_letters.put(Kind.DELIVERY, name, Undeliverable(f"Kafka refuses it: {why}"))

    async def states(records: Sequence[JournalRecord]) -> None:
        await publish([message for record in records for message in messages_of(record)])

    async def updates(documents: Sequence[TaskDocument]) -> None:
        await publish([update_of(document) for document in documents])

    async def state_aside(record: JournalRecord, error: Exception) -> None:
        await dead_letters.put(Kind.DELIVERY, f"{STATE} of task {record.task}", error)

    async def update_aside(document: TaskDocument, error: Exception) -> None:
        await dead_letters.put(Kind.DELIVERY, f"{UPDATE} of task {document.id}", error)

    return [
        Relay("kafka", states_of(journal), states, positions, aside=state_aside),
        Relay("kafka-updates", changes.revised, updates, positions, aside=update_aside),
    ]


def to_redis(
    changes: Changes, positions: Positions, pulse: Pulse, clock: Clock, dead_letters: DeadLetters
) -> list[Relay[JournalRecord] | Relay[TaskDocument]]:
    """Ends of tasks that have not begun again; heartbeats are the pulse's own duty."""

    async def ends(documents: Sequence[TaskDocument]) -> None:
        ended = [
            EndPulse(document.id, value, document.exception)
            for document in documents
            if (value := ENDS.get(document.lifecycle)) is not None
        ]
        await pulse.end(ended, clock.now())

    async def aside(document: TaskDocument, error: Exception) -> None:
        """Its end counts more than why it ended."""
        try:
            await ends([replace(document, exception=UNWRITABLE)])
        except Unavailable:
            raise
        except Exception as again:
            error = again
        await dead_letters.put(Kind.DELIVERY, f"redis end of task {document.id}", error)

    return [Relay("redis", changes.changed, ends, positions, aside=aside, replaces=True)]


def to_people(
    journal: Journal, positions: Positions, pulse: Pulse, clock: Clock, dead_letters: DeadLetters
) -> Relay[JournalRecord]:
    """Why attempts failed whose tasks go on; what is older than the pulse keeps anything is not told any more."""

    async def errors(records: Sequence[JournalRecord]) -> None:
        now = clock.now()
        for record in records:
            if may_follow_failure(record) and now - record.at < ERROR_TTL:
                before = await _before(journal, record)
                if (failure := failure_before(record, before)) is not None:
                    await pulse.note_error(record.task, failure, now)

    async def aside(record: JournalRecord, error: Exception) -> None:
        await dead_letters.put(Kind.DELIVERY, f"error of task {record.task}", error)

    return Relay("errors", states_of(journal, FOLLOW_FAILURE), errors, positions, linger=LINGER, aside=aside)


def to_mongo(
    changes: Changes,
    positions: Positions,
    archive: Archive,
    controller: Controller,
    dead_letters: DeadLetters,
) -> list[Relay[JournalRecord] | Relay[TaskDocument]]:
    async def put(documents: Sequence[TaskDocument]) -> None:
        await archive.put(
            [for_controller(document, upstream=controller is Controller.UPSTREAM) for document in documents]
        )

    async def aside(document: TaskDocument, error: Exception) -> None:
        """The task's status is written all the same."""
        try:
            await put([bare(document, UNWRITABLE)])
        except Unavailable:
            raise
        except Exception as again:
            error = again
        await dead_letters.put(Kind.DELIVERY, f"document of task {document.id}", error)

    return [Relay("mongodb", changes.changed, put, positions, linger=LINGER, aside=aside, replaces=True)]


def recordings_to_mongo(
    feed: Feed[Recording], positions: Positions, recordings: Recordings, dead_letters: DeadLetters
) -> Relay[Recording]:
    async def add(some: Sequence[Recording]) -> None:
        await recordings.add(some)

    async def aside(recording: Recording, error: Exception) -> None:
        await dead_letters.put(Kind.DELIVERY, f"recording {recording.id} of task {recording.task}", error)

    return Relay("mongodb-recordings", feed, add, positions, aside=aside)


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
