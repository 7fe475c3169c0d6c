"""Kafka's commands, carried out: a record is committed once its effect is in Prefect, or its refusal is told."""

from __future__ import annotations

import asyncio
import logging

from skald_bridge.domain.commands import Received
from skald_bridge.domain.dead_letters import Kind, reason_of
from skald_bridge.domain.errors import InvalidInput, NotFound, SkaldError, Unavailable
from skald_bridge.domain.ids import TaskId
from skald_bridge.ports import Clock, Documents, Publisher, Pulse
from skald_bridge.services.commands import REFUSALS, Commands
from skald_bridge.services.dead_letters import DeadLetters, Suspicion
from skald_bridge.services.document_intake import DocumentIntake
from skald_bridge.wire.skalds import INITIATOR, read_event, read_update
from skald_bridge.wire.topics import ASSIGN, CANCEL, MOST_BYTES, UPDATE, WORKER_UPDATE, rejection_of

_QUICK = 8
"""How many commands ask Prefect at once."""
_PATIENT = 32
"""How many updates wait for their tasks' answers at once, half a minute for one that does not answer."""
_log = logging.getLogger("skald_bridge.orders")


class KafkaCommands:
    """``carry_out`` is done with one record when it returns."""

    def __init__(
        self,
        commands: Commands,
        publisher: Publisher,
        pulse: Pulse,
        clock: Clock,
        *,
        documents: Documents | None = None,
        document_intake: DocumentIntake | None = None,
        dead_letters: DeadLetters,
        suspicion: Suspicion,
    ) -> None:
        """``documents`` and ``desk``: where events say no more than which document to look at."""
        self._commands = commands
        self._publisher = publisher
        self._pulse = pulse
        self._clock = clock
        self._documents = documents
        self._document_intake = document_intake
        self._dead_letters = dead_letters
        self._suspicion = suspicion
        self._quick = asyncio.Semaphore(_QUICK)
        self._patient = asyncio.Semaphore(_PATIENT)

    async def carry_out(self, record: Received) -> None:
        """Raises ``Unavailable`` only: nothing was done, the record is to be tried again."""
        async with self._patient if record.topic in (UPDATE, WORKER_UPDATE) else self._quick:
            await self._carry_out(record)

    async def _carry_out(self, record: Received) -> None:
        command = record.topic
        try:
            self._commands.count(command, await self._obey(record))
        except Unavailable as error:
            if not await self._suspicion.confirmed(_place(record), error):
                raise
            await self._set_aside(record, error)
        except REFUSALS as error:
            self._commands.count(command, "rejected")
            _log.warning("%s: %s", _place(record), error.message)
            await self._reject(record, _said(error))
        except Exception as error:
            await self._set_aside(record, error)

    async def _set_aside(self, record: Received, error: Exception) -> None:
        self._commands.count(record.topic, "failed")
        await self._dead_letters.put(Kind.RECORD, _place(record), error, key=record.key, body=record.value)
        await self._reject(record, f"unexpected {reason_of(error)}")

    async def _reject(self, record: Received, reason: str) -> None:
        """Raises ``Unavailable`` only."""
        now = self._clock.now()
        try:
            if await self._publisher.publish([rejection_of(record, reason, now)]):
                await self._publisher.publish([rejection_of(record, reason, now, quoted=0)])
        except Unavailable:
            raise
        except Exception:
            _log.exception("the rejection of %s cannot be told", _place(record))

    async def _obey(self, record: Received) -> str:
        value = record.value or b""
        if len(value) > MOST_BYTES:
            raise InvalidInput(
                f"the record has {len(value)} bytes, more than {MOST_BYTES}",
                remedy="Put attachments into MongoDB.",
            )
        if record.topic == WORKER_UPDATE:
            return await self._update_worker(record, value)
        event = read_event(value)
        if event.initiator == INITIATOR:
            return "own"
        if not event.task_ids:
            raise InvalidInput("taskIds: there are none", remedy="Name the tasks that the event is about.")
        did, refused = False, None
        for id_ in dict.fromkeys(event.task_ids):
            try:
                did |= await self._perform(record.topic, TaskId(id_))
            except REFUSALS as error:
                refused = refused or error  # the others of the event are none the worse for it
        if refused is not None:
            raise refused
        return "done" if did else "nothing to do"

    async def _perform(self, topic: str, task: TaskId) -> bool:
        if topic == ASSIGN:
            return await self._assign(task)
        if topic == CANCEL:
            return await self._cancel(task)
        if topic == UPDATE:
            return await self._update(task)
        return False

    async def _assign(self, task: TaskId) -> bool:
        if self._document_intake is None:
            raise InvalidInput(
                "taskIds: there are no documents to look at",
                remedy="Set MONGO_HOST to where the documents are.",
            )
        return await self._document_intake.assigned(task)

    async def _cancel(self, task: TaskId) -> bool:
        if await self._commands.is_foreign(task):
            return await self._commands.cancel_waiting(task)  # a node that has it hears it too
        try:
            return await self._commands.cancel(task)
        except NotFound:
            if self._document_intake is None or not await self._document_intake.cancelled(task):
                raise
            return True

    async def _update(self, task: TaskId) -> bool:
        found = await self._documents.get(task) if self._documents is not None else None
        if found is None:
            raise NotFound(f"taskIds: there is no document of task {task}")
        wanted = found.data.get("attachments")
        if not isinstance(wanted, dict):
            raise InvalidInput(f"attachments: those of task {task} are no object", remedy="Write an object.")
        known = await self._commands.known(task)
        if known is not None and (known.foreign or self._commands.has(known, wanted)):
            return False
        return await self._change(task, wanted)

    async def _update_worker(self, record: Received, value: bytes) -> str:
        try:
            task = TaskId((record.key or b"").decode())
        except UnicodeDecodeError as error:
            raise InvalidInput(
                "key: it is not UTF-8", remedy="Use the task's id as the record's key."
            ) from error
        known = await self._commands.known(task)
        if known is None or known.foreign:
            return "own"  # a Skalds node talks to its workers here too
        return "done" if await self._change(task, read_update(value)) else "nothing to do"

    async def _change(self, task: TaskId, attachments: dict[str, object]) -> bool:
        try:
            await self._commands.update_patiently(task, attachments)
        except REFUSALS as error:
            await self._pulse.note_error(task, _said(error), self._clock.now())
            raise
        return True


def _place(record: Received) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"


def _said(error: SkaldError) -> str:
    return f"{error.message} ({error.remedy})" if error.remedy else error.message
