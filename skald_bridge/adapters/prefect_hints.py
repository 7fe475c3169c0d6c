"""Prefect's event stream as hints."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from skald_bridge.adapters.prefect_api import PrefectApi
from skald_bridge.adapters.prefect_identity import KnownRuns
from skald_bridge.adapters.prefect_mapping import ARTIFACT_CREATED, hint_of, run_of
from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.facts import Heard
from skald_bridge.domain.ids import TaskId
from skald_work_pools.messages import (
    DEPLOYMENT_RESOURCE,
    NODE_ANNOUNCED,
    RUN_RESOURCE,
    TASK_MOVES,
    TASK_STILL,
    UPDATE_APPLIED,
    WORK_EVENTS,
)

if TYPE_CHECKING:
    from prefect.events import Event
    from prefect.events.clients import PrefectEventSubscriber

_OURS = (UPDATE_APPLIED, TASK_STILL, TASK_MOVES, NODE_ANNOUNCED)
_log = logging.getLogger("skald_bridge.hints")


class HintStream:
    """Every subscription is one connection: when it breaks, the iterator ends, so that the gap is seen."""

    def __init__(
        self,
        api: PrefectApi,
        known: KnownRuns,
        deployed: Callable[[], None],
        pooled: Callable[[], None] = lambda: None,
    ) -> None:
        """``deployed`` hears when a deployment has changed, or may have; ``pooled`` of work pools and queues."""
        self._api = api
        self._known = known
        self._deployed, self._pooled = deployed, pooled

    @asynccontextmanager
    async def hints(self) -> AsyncIterator[AsyncIterator[Heard]]:
        from prefect.events.clients import get_events_subscriber
        from prefect.events.filters import EventFilter, EventNameFilter

        from skald_bridge.adapters.prefect_client import plainly

        wanted = EventFilter(
            event=EventNameFilter(
                prefix=[RUN_RESOURCE, DEPLOYMENT_RESOURCE, WORK_EVENTS, ARTIFACT_CREATED, *_OURS]
            )
        )
        async with AsyncExitStack() as stack:
            try:
                subscriber = get_events_subscriber(wanted, reconnection_attempts=0)
                await stack.enter_async_context(subscriber)
            except Exception as error:
                known = self._api.translated(plainly(error))
                raise known if known is not error else _broken(error) from error
            # What was told before this connection was not heard.
            self._deployed()
            self._pooled()
            yield self._hints(subscriber)

    async def _hints(self, subscriber: PrefectEventSubscriber) -> AsyncIterator[Heard]:
        while True:
            try:
                event = await anext(subscriber)
            except Exception as error:
                _log.debug("event stream ended: %s", error)
                return
            if event.event.startswith(DEPLOYMENT_RESOURCE):
                self._deployed()
            elif event.event.startswith(WORK_EVENTS):
                self._pooled()
            elif (hint := _read(event, self._known.task(run_of(event)))) is not None:
                yield hint


def _read(event: Event, task: TaskId | None) -> Heard | None:
    try:
        return hint_of(event, task)
    except Exception as error:
        _log.warning(
            "event %s of %s not understood (%s); the sweep makes up for it", event.id, event.event, error
        )
        return None


def _broken(error: Exception) -> Unavailable:
    return Unavailable(
        f"Prefect's event stream does not open: {error}",
        remedy="Start the server with `skald up`; check PREFECT_API_URL and PREFECT_API_AUTH_STRING.",
    )
