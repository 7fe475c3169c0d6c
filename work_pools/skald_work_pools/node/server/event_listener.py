"""One subscription to all events of the work pool. Events are hints: a gap is reported, not made up for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import UUID

from prefect.events import Event
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter

from skald_work_pools.messages import (
    DEPLOYMENT_RESOURCE,
    POOL_RESOURCE,
    RUN_HEARTBEAT,
    RUN_RESOURCE,
    UPDATE_REQUESTED,
    WORK_EVENTS,
)
from skald_work_pools.retrying import Backoff

_log = logging.getLogger("skald.node.events")

WANTED = EventNameFilter(
    prefix=[UPDATE_REQUESTED, RUN_RESOURCE, DEPLOYMENT_RESOURCE, WORK_EVENTS],
    exclude_name=[RUN_HEARTBEAT],
)


class EventListener:
    """``hear`` gets every event; ``connected`` is called after each (re)connection, ``lost`` after its end."""

    def __init__(
        self, hear: Callable[[Event], None], connected: Callable[[], None], lost: Callable[[], None]
    ) -> None:
        self._hear = hear
        self._on_connected = connected
        self._on_lost = lost
        self.connected = False

    async def run(self, pool_id: UUID) -> None:
        wanted = EventFilter(
            event=WANTED, any_resource=EventAnyResourceFilter(id=[f"{POOL_RESOURCE}{pool_id}"])
        )
        backoff = Backoff(first=0.5, most=10.0)
        while True:
            try:
                async with get_events_subscriber(
                    wanted.model_copy(deep=True), reconnection_attempts=0
                ) as events:
                    self.connected = True
                    self._on_connected()
                    backoff.reset()
                    async for event in events:
                        self._hear(event)
            except Exception as error:
                _log.debug("no event stream: %s", error)
            if self.connected:
                self.connected = False
                self._on_lost()
            await backoff.wait()
