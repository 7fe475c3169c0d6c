"""One subscription to all events of the work pool. Events are hints: a gap is reported, not made up for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from uuid import UUID

from prefect.events import Event
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter

from work_pools.messages import UPDATE_REQUESTED

_LONGEST_PAUSE = 10.0
_log = logging.getLogger("skald.node.events")

WANTED = EventNameFilter(
    prefix=[UPDATE_REQUESTED, "prefect.flow-run.", "prefect.deployment.", "prefect.work-"],
    exclude_name=["prefect.flow-run.heartbeat"],
)


class EventListener:
    """``hear`` gets every event; ``connected`` is called after each (re)connection."""

    def __init__(self, hear: Callable[[Event], None], connected: Callable[[], None]) -> None:
        self._hear = hear
        self._told = connected
        self.connected = False

    async def run(self, pool_id: UUID) -> None:
        wanted = EventFilter(
            event=WANTED, any_resource=EventAnyResourceFilter(id=[f"prefect.work-pool.{pool_id}"])
        )
        pause = 0.5
        while True:
            try:
                async with get_events_subscriber(
                    wanted.model_copy(deep=True), reconnection_attempts=0
                ) as events:
                    self.connected = True
                    self._told()
                    pause = 0.5
                    async for event in events:
                        self._hear(event)
            except Exception as error:
                _log.debug("no event stream: %s", error)
            self.connected = False
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)
