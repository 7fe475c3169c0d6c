"""Requests to running tasks, and their answers, over two event streams that stay open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from uuid import uuid4

from prefect.events import Event
from prefect.events.clients import (
    EventsClient,
    PrefectEventSubscriber,
    get_events_client,
    get_events_subscriber,
)
from prefect.events.filters import EventFilter, EventNameFilter

from skald_bridge.adapters.prefect_api import translated
from skald_work_pools.messages import UPDATE_APPLIED, UPDATE_REJECTED

Answer = tuple[str, int, str | None]
"""``applied`` | ``rejected`` | ``stored``, revision, reason."""
Answered = asyncio.Future[Answer]


class Talk:
    """Opened by the first request. A stream that breaks is opened again by the next one: say it again."""

    def __init__(self) -> None:
        self._waiting: dict[str, Answered] = {}
        self._opening = asyncio.Lock()
        self._streams = AsyncExitStack()
        self._out: EventsClient | None = None
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

    async def say(self, request: Event) -> None:
        """Raises ``Unavailable``: it may not have been heard."""
        try:
            out = await self._opened()
            # Subscribers drop a second event of the same id; the update's own id tells a repeat.
            await out.emit(request.model_copy(update={"id": uuid4()}))
        except Exception as error:
            await self.close()
            raise translated(error) from error

    async def close(self) -> None:
        async with self._opening:
            await self._close()

    async def _opened(self) -> EventsClient:
        async with self._opening:
            if self._out is not None and self._listening is not None and not self._listening.done():
                return self._out
            await self._close()
            answers = EventFilter(event=EventNameFilter(name=[UPDATE_APPLIED, UPDATE_REJECTED]))
            subscriber = get_events_subscriber(answers, reconnection_attempts=0)
            incoming = await self._streams.enter_async_context(subscriber)
            client = get_events_client(reconnection_attempts=0, checkpoint_every=20)
            self._out = await self._streams.enter_async_context(client)
            self._listening = asyncio.create_task(self._listen(incoming), name="answers")
            return self._out

    async def _close(self) -> None:
        streams, self._streams, self._out = self._streams, AsyncExitStack(), None
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
            self._listening = None
        with suppress(Exception):  # a connection that is broken closes as it can
            await streams.aclose()

    async def _listen(self, incoming: PrefectEventSubscriber) -> None:
        with suppress(Exception):  # the next request opens it again
            async for event in incoming:
                told = event.payload
                answer = self._waiting.get(str(told.get("update_id")))
                if answer is not None and not answer.done():
                    outcome = "applied" if event.event == UPDATE_APPLIED else "rejected"
                    answer.set_result((outcome, int(told.get("revision", 0)), told.get("reason")))
