"""Events of the node and its children, delivered in order until the server has them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import httpx
from prefect.events import Event

from skald_work_pools.node.server.batch_delivery import deliver
from skald_work_pools.node.server.event_api import EventApi
from skald_work_pools.node.server.event_outbox import EventOutbox
from skald_work_pools.node.server.outgoing_event import OutgoingEvent, outgoing
from skald_work_pools.prefect_private.events import EventStream, StreamClosed
from skald_work_pools.retrying import Backoff

_IDLE = 60.0
_BATCH_CHARACTERS = 1_000_000
UNRECORDED = "it accepted the event again and again, and has not recorded it"
_log = logging.getLogger("skald.node.events")


class EventEmitter:
    """Sends on one websocket in calm times; asks and sends again by requests after a disruption.

    It connects when there is something to say, and hangs up after a minute of silence. ``say`` writes into the
    log of a run: its id, a message, a level.
    """

    def __init__(self, api: EventApi, say: Callable[[str, str, int], None]) -> None:
        self._api = api
        self._say = say
        self._outbox = EventOutbox()
        self._dropped: Counter[str] = Counter()
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()

    def emit(self, event: Event, run_id: str = "") -> None:
        """Send it, soon; ``run_id`` is the run that emits it, by default the one that it concerns."""
        try:
            kept = outgoing(event, run_id)
        except ValueError as error:
            self._tell(run_id, f"the event {event.event!r} ({event.id}) was dropped: {error}")
            return
        for dropped in self._outbox.add(kept):
            self._dropped[dropped.run_id] += 1
        self._wake.set()

    def doubt(self) -> None:
        """The server may have been restarted: ask it, when it answers, what it has of what it took."""
        self._outbox.doubt(time.monotonic())
        self._wake.set()

    async def flush(self, seconds: float) -> None:
        """Wait until the server has taken all, at most ``seconds``; what it has not is said."""
        deadline = time.monotonic() + seconds
        while self._outbox.unsent and (left := deadline - time.monotonic()) > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)
        self._tell_dropped()
        for run_id, count in self._outbox.unsent_runs().items():
            self._tell(
                run_id, f"{count} events were not sent before the node stopped: no answer from Prefect"
            )

    async def run(self) -> None:
        """For ever."""
        backoff = Backoff(first=0.5)
        while True:
            self.doubt()
            try:
                while True:
                    await self._settle()
                    if self._outbox.next() is None:
                        await self._something()
                    else:
                        await self._stream(backoff)
            except (httpx.HTTPError, StreamClosed) as error:
                _log.debug("events not sent: %s", error or type(error).__name__)
            await backoff.wait()

    async def _stream(self, backoff: Backoff) -> None:
        """Send on a websocket until there was nothing to say for a minute.

        Raises:
            StreamClosed: the server ended it, or went away.
        """
        async with EventStream() as stream:
            backoff.reset()
            closed = asyncio.create_task(stream.closed())
            try:
                while not closed.done():
                    await self._send_on(stream)
                    if not await self._something(closed):
                        return
                    await self._settle()
            finally:
                closed.cancel()
        raise StreamClosed("by the server")

    async def _send_on(self, stream: EventStream) -> None:
        while (event := self._outbox.next()) is not None:
            await stream.send(event.text)
            self._outbox.sent(event, time.monotonic())
        self._changed.set()
        self._tell_dropped()

    async def _settle(self) -> None:
        """Ask about what is due, and send again what the server lacks."""
        while questions := self._outbox.questions(time.monotonic()):
            recorded = await self._api.recorded(questions)
            verdict = self._outbox.answered(questions, recorded, time.monotonic())
            self._tell_refused((event, UNRECORDED) for event in verdict.given_up)
            for batch in _batches(verdict.resend):
                began = time.monotonic()
                delivery = await deliver(batch, self._api.post)
                self._outbox.resent(delivery.taken, began)
                for event, _ in delivery.refused:
                    self._outbox.forget(event)
                self._tell_refused(delivery.refused)
                if delivery.error is not None:
                    raise delivery.error
            self._changed.set()

    async def _something(self, closed: asyncio.Task[None] | None = None) -> bool:
        """Wait for an event, a question that is due, or the stream's end; false after a minute without any."""
        self._wake.clear()
        due = self._outbox.next_question()
        left = _IDLE if due is None else max(0.0, min(_IDLE, due - time.monotonic()))
        woken = asyncio.create_task(self._wake.wait())
        try:
            waits = {woken, closed} if closed is not None else {woken}
            done, _ = await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
        return bool(done) or left < _IDLE

    def _tell_refused(self, refused: Iterable[tuple[OutgoingEvent, str]]) -> None:
        """One line for events of one name of one run that were refused for one reason."""
        alike = Counter((event.run_id, event.name, reason) for event, reason in refused)
        for (run_id, name, reason), count in alike.items():
            events = f"the event {name!r} was" if count == 1 else f"{count} events {name!r} were"
            self._tell(run_id, f"{events} dropped, the Prefect server did not take it: {reason}")

    def _tell_dropped(self) -> None:
        for run_id, count in self._dropped.items():
            self._tell(run_id, f"{count} events were dropped: the Prefect server did not take them in time")
        self._dropped.clear()

    def _tell(self, run_id: str, message: str) -> None:
        _log.warning("%s%s", f"run {run_id}: " if run_id else "", message)
        if run_id:
            self._say(run_id, message, logging.WARNING)


def _batches(events: Iterable[OutgoingEvent]) -> Iterator[list[OutgoingEvent]]:
    """In order, each small enough for one request."""
    batch: list[OutgoingEvent] = []
    size = 0
    for event in events:
        if batch and size + len(event.text) > _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += len(event.text)
    if batch:
        yield batch
