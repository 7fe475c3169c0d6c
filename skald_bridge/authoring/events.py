"""Updates of a run under a stock Prefect worker: it hears Prefect's events and answers them itself."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import logging
import platform
import threading
from contextlib import suppress
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.events import Event, Resource
from prefect.events.clients import (
    EventsClient,
    PrefectEventSubscriber,
    get_events_client,
    get_events_subscriber,
)
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.exceptions import ObjectNotFound

from skald_bridge.authoring.live import Answer, Live
from skald_work_pools import messages
from skald_work_pools.attachments import next_revision, update_id_of
from skald_work_pools.messages import Update, UpdateApplied
from skald_work_pools.retrying import LOUD, insist

_RETRY_AFTER = 1.0
_LAST_ANSWERS_WITHIN = 3.0
_log = logging.getLogger("skald.updates")


class EventUpdates:
    """A daemon thread with its own event loop; its methods may be called from any other thread."""

    def __init__(self, run_id: UUID, parameter: str) -> None:
        self._run_id = run_id
        self._parameter = parameter
        self._resource = f"{messages.RUN_RESOURCE}{run_id}"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answers: asyncio.Queue[Answer | None] = asyncio.Queue()
        self._unsent: Answer | None = None
        self._thread: threading.Thread | None = None
        atexit.register(self.stop)

    def start(self, live: Live[Any]) -> None:
        self._loop, self._answers = asyncio.new_event_loop(), asyncio.Queue()
        inherited = contextvars.copy_context()
        self._thread = threading.Thread(
            target=inherited.run, args=(self._run, self._loop, live), name="skald-updates", daemon=True
        )
        self._thread.start()

    def answer(self, answer: Answer) -> None:
        self._put(answer)

    def stop(self) -> None:
        """End the thread; answers given until now are sent first."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._put(None)
            if thread is not threading.current_thread():
                thread.join(_LAST_ANSWERS_WITHIN)

    def _put(self, answer: Answer | None) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._answers.put_nowait, answer)

    def _run(self, loop: asyncio.AbstractEventLoop, live: Live[Any]) -> None:
        asyncio.set_event_loop(loop)
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(self._serve(live))
        loop.close()

    async def _serve(self, live: Live[Any]) -> None:
        async with get_client(httpx_settings={"timeout": 10.0}) as api:
            ended, failures = False, 0
            while not ended:
                try:
                    ended = await self._converse(live, api)
                    failures = 0
                except Exception as error:
                    # Prefect tells a server that is away by errors of no kind of their own.
                    failures += 1
                    level = logging.WARNING if failures == LOUD else logging.DEBUG
                    _log.log(level, "no event stream; updates wait for it: %r", error)
                    await asyncio.sleep(_RETRY_AFTER)

    async def _converse(self, live: Live[Any], api: PrefectClient) -> bool:
        """Hear and answer until the stream breaks, or until told to end, which is True."""
        wanted = EventFilter(
            event=EventNameFilter(name=[messages.UPDATE_REQUESTED]),
            resource=EventResourceFilter(id=[self._resource]),
        )
        async with (
            get_events_client(checkpoint_every=1) as outgoing,
            get_events_subscriber(wanted, reconnect_on_clean_close=True) as incoming,
        ):
            hearing = asyncio.create_task(_hear(incoming, live))
            answering = asyncio.create_task(self._send_answers(outgoing, api))
            try:
                await asyncio.wait([hearing, answering], return_when=asyncio.FIRST_COMPLETED)
                if answering.done():
                    answering.result()
                    return True
                return False
            finally:
                for task in (hearing, answering):
                    task.cancel()
                await asyncio.gather(hearing, answering, return_exceptions=True)

    async def _send_answers(self, outgoing: EventsClient, api: PrefectClient) -> None:
        """One that a broken stream has kept from being sent is sent on the next."""
        while (answer := self._unsent or await self._answers.get()) is not None:
            self._unsent = answer
            if isinstance(answer, UpdateApplied):
                await self._keep(answer, api)
            await outgoing.emit(self._event(answer))
            self._unsent = None

    async def _keep(self, answer: UpdateApplied, api: PrefectClient) -> None:
        """A retry of the run starts with the newest attachments."""
        try:
            await insist(lambda: self._store(answer, api), "attachments")
        except (httpx.HTTPError, ObjectNotFound) as error:
            _log.warning("the attachments of update %s are not kept: %s", answer.update_id, error)

    async def _store(self, answer: UpdateApplied, api: PrefectClient) -> None:
        run = await api.read_flow_run(self._run_id)
        parameters = {**run.parameters, self._parameter: answer.attachments}
        await api.update_flow_run(self._run_id, parameters=parameters)
        await api.update_flow_run_labels(self._run_id, {messages.REVISION_LABEL: answer.revision})

    def _event(self, answer: Answer) -> Event:
        told: dict[str, Any] = {"update_id": answer.update_id, "revision": answer.revision}
        if isinstance(answer, UpdateApplied):
            told["attachments"] = answer.attachments
        else:
            told["reason"] = answer.reason
        return Event(
            event=messages.UPDATE_APPLIED if isinstance(answer, UpdateApplied) else messages.UPDATE_REJECTED,
            resource=Resource({messages.RESOURCE_ID: self._resource}),
            payload={**told, "node": platform.node()},
        )


async def _hear(incoming: PrefectEventSubscriber, live: Live[Any]) -> None:
    async for event in incoming:
        if update := _candidate(event.payload, live):
            live.offer(update)


def _candidate(payload: dict[str, Any], live: Live[Any]) -> Update | None:
    """The next revision that a request asks for; ``None`` for a request without an id or content."""
    if (update_id := update_id_of(payload)) is None:
        _log.warning("update request ignored: it needs update_id, and changes or attachments")
        return None
    newest, revision = live.basis()
    revision, attachments = next_revision((revision, newest), payload)
    return Update(update_id, revision, attachments)
