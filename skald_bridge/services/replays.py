"""What could not be handled is handled once more, where somebody asks for it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from skald_bridge.domain.commands import Received
from skald_bridge.domain.dead_letters import DeadLetter, Kind
from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.ids import TaskId
from skald_bridge.services.dead_letters import DeadLetters

PERIOD = 5.0
_log = logging.getLogger("skald_bridge.dead_letters")


class ReplayRequests(Protocol):
    """Items that somebody wants handled again."""

    async def asked_again(self) -> list[DeadLetter]: ...

    async def remove(self, id_: str) -> None: ...


class Replays:
    """One look a step. An item that fails again is kept again, with its new reason; what was noted is kept, too."""

    def __init__(
        self,
        asked: ReplayRequests,
        dead_letters: DeadLetters,
        *,
        record: Callable[[Received], Awaitable[None]] | None,
        document: Callable[[str], Awaitable[None]] | None,
        task: Callable[[TaskId], Awaitable[None]],
    ) -> None:
        """
        Args:
            record, document: handle one of Kafka's or MongoDB's; ``None`` where there is no such service.
            task: looks at a task, and has everything told anew that is known of it.
        """
        self._asked = asked
        self._dead_letters = dead_letters
        self._record = record
        self._document = document
        self._task = task

    async def step(self) -> float:
        await self._dead_letters.save()
        for letter in await self._asked.asked_again():
            await self._asked.remove(letter.id)
            self._dead_letters.forget(letter)
            try:
                await self._handle(letter)
            except Exception as error:
                await self._dead_letters.put(
                    letter.kind, letter.name, error, key=letter.key, body=letter.body
                )
            else:
                _log.info("%s has been handled once more", letter.id)
        return PERIOD

    async def _handle(self, letter: DeadLetter) -> None:
        match letter.kind:
            case Kind.RECORD if self._record is not None:
                topic, partition, offset = letter.name.rsplit("/", 2)
                await self._record(Received(topic, int(partition), int(offset), letter.key, letter.body))
            case Kind.DOCUMENT if self._document is not None:
                await self._document(letter.name)
            case Kind.TASK | Kind.DELIVERY:
                await self._task(TaskId(letter.name.rpartition(" ")[2]))
            case _:
                raise Unavailable("There is nothing left that could be handled again")
