"""Requests to running tasks, and their answers, over an event stream that stays open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any

from skald_bridge.adapters.prefect_api import translated
from skald_bridge.adapters.prefect_connection import Events, PrefectConnection
from skald_work_pools.messages import UPDATE_APPLIED, UPDATE_REJECTED

Answer = tuple[str, int, str | None]
"""``applied`` | ``rejected`` | ``stored``, revision, reason."""
Answered = asyncio.Future[Answer]


class Talk:
    """Opened by the first request. A stream that breaks is opened again by the next one: say it again."""

    def __init__(self, connection: Callable[[], PrefectConnection]) -> None:
        self._connection = connection
        self._waiting: dict[str, Answered] = {}
        self._opening = asyncio.Lock()
        self._streams = AsyncExitStack()
        self._events: Events | None = None
        self._listening: asyncio.Task[None] | None = None

    @contextmanager
    def expecting(self, update_id: str) -> Iterator[Answered]:
        """The answer to come; what is said inside may be answered."""
        answer: Answered = asyncio.get_running_loop().create_future()
        self._waiting[update_id] = answer
        try:
            yield answer
        finally:
            del self._waiting[update_id]
            answer.cancel()

    async def say(self, request: Mapping[str, Any]) -> None:
        """Raises ``Unavailable``: it may not have been heard."""
        try:
            # Subscribers drop a second event of the same id; the update's own id tells a repeat.
            await (await self._opened()).say(request)
        except Exception as error:
            await self.close()
            raise translated(error, self._connection().url) from error

    async def close(self) -> None:
        async with self._opening:
            await self._close()

    async def _opened(self) -> Events:
        async with self._opening:
            if self._events is not None and self._listening is not None and not self._listening.done():
                return self._events
            await self._close()
            answers = self._connection().events([UPDATE_APPLIED, UPDATE_REJECTED])
            self._events = await self._streams.enter_async_context(answers)
            self._listening = asyncio.create_task(self._listen(self._events), name="answers")
            return self._events

    async def _close(self) -> None:
        streams, self._streams, self._events = self._streams, AsyncExitStack(), None
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
            self._listening = None
        with suppress(Exception):  # a connection that is broken closes as it can
            await streams.aclose()

    async def _listen(self, events: Events) -> None:
        with suppress(Exception):  # the next request opens it again
            async for name, told in events.heard():
                answer = self._waiting.get(str(told.get("update_id")))
                if answer is not None and not answer.done():
                    outcome = "applied" if name == UPDATE_APPLIED else "rejected"
                    answer.set_result((outcome, int(told.get("revision", 0)), told.get("reason")))
