"""Events of the node and its children on one websocket, kept while the server is away."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from prefect.events import Event
from prefect.events.clients import get_events_client

KEPT = 50_000
"""Events kept while the server does not answer; the oldest go first."""
_IDLE = 60.0
_log = logging.getLogger("skald.node.events")


class EventEmitter:
    """Connects when there is something to say, and hangs up after a minute of silence."""

    def __init__(self) -> None:
        self._waiting: deque[Event] = deque(maxlen=KEPT)
        self._some = asyncio.Event()
        self._all_sent = asyncio.Event()
        self._all_sent.set()

    def emit(self, event: Event) -> None:
        self._waiting.append(event)
        self._all_sent.clear()
        self._some.set()

    async def flush(self, seconds: float) -> None:
        """Wait until all is sent, at most ``seconds``."""
        try:
            await asyncio.wait_for(self._all_sent.wait(), seconds)
        except TimeoutError:
            _log.warning("%d events were not sent: the Prefect server does not take them", len(self._waiting))

    async def run(self) -> None:
        failures = 0
        while True:
            await self._some.wait()
            try:
                async with get_events_client(reconnection_attempts=2, checkpoint_every=20) as client:
                    failures = 0
                    while await self._more():
                        while self._waiting:
                            await client.emit(self._waiting[0])
                            self._waiting.popleft()
                        self._some.clear()
                        self._all_sent.set()
            except (ValueError, TypeError) as error:
                # What cannot be written now cannot be written later.
                _log.warning("an event was dropped: %s", error)
                self._waiting.popleft()
            except Exception as error:
                failures += 1
                _log.debug("events not sent: %s", error)
                await asyncio.sleep(min(10.0, 0.5 * 2**failures))

    async def _more(self) -> bool:
        try:
            await asyncio.wait_for(self._some.wait(), _IDLE)
        except TimeoutError:
            return False
        return True
