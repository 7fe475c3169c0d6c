"""One subscription to all events of the work pool. Events are hints: a gap is reported, not made up for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import UUID

from prefect.events import Event
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter

from work_pools.messages import UPDATE_REQUESTED
from work_pools.retrying import Backoff

_log = logging.getLogger("skald.node.events")

WANTED = EventNameFilter(
    prefix=[UPDATE_REQUESTED, "prefect.flow-run.", "prefect.deployment.", "prefect.work-"],
    exclude_name=["prefect.flow-run.heartbeat"],
)


class EventListener:
    """``hear`` gets every event; ``connected`` is called after each (re)connection, ``lost`` after its end."""

    def __init__(
        self, hear: Callable[[Event], None], connected: Callable[[], None], lost: Callable[[], None]
    ) -> None:
        self._hear = hear
        self._told = connected
        self._lost = lost
        self.connected = False

    async def run(self, pool_id: UUID) -> None:
        wanted = EventFilter(
            event=WANTED, any_resource=EventAnyResourceFilter(id=[f"prefect.work-pool.{pool_id}"])
        )
        backoff = Backoff(first=0.5, most=10.0)
        while True:
            try:
                async with get_events_subscriber(
                    wanted.model_copy(deep=True), reconnection_attempts=0
                ) as events:
                    self.connected = True
                    self._told()
                    backoff.reset()
                    async for event in events:
                        self._hear(event)
            except Exception as error:
                _log.debug("no event stream: %s", error)
            if self.connected:
                self.connected = False
                self._lost()
            await backoff.wait()
