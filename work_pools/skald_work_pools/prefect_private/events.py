"""Events: those of a child process go to its node, and the node's own websocket takes them to the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

import httpx
import prefect.events.worker as events_worker
from prefect.context import FlowRunContext, TaskRunContext
from prefect.events import Event, RelatedResource
from prefect.events.clients import RETRYABLE_EXCEPTIONS, get_events_client
from prefect.events.worker import EventsWorker, ProcessPoolForwardingEventsClient
from prefect.exceptions import ObjectNotFound

from skald_work_pools.prefect_private.clients import no_retries
from skald_work_pools.retrying import pauses, unanswered


def forward_events(sink: Callable[[dict[str, Any]], None]) -> None:
    """Hand every event this process emits (those of task runs are states) to ``sink``, as JSON.

    What an event is related to is asked until the server answers: else an outage would lose the event.
    """
    related: Any = events_worker.related_resources_from_run_context  # type: ignore[attr-defined]
    once = no_retries()

    async def insisting(client: Any, exclude: set[str] | None = None) -> list[RelatedResource]:
        for pause in pauses():
            try:
                with once:
                    found: list[RelatedResource] = await related(client, exclude)
                    return found
            except (httpx.HTTPError, ObjectNotFound) as error:
                if not unanswered(error):
                    break
            await asyncio.sleep(pause)
        # Deleted meanwhile; without its flow run the server could not tell whose a task run is.
        return _related_run(exclude or set())

    events_worker.related_resources_from_run_context = insisting  # type: ignore[attr-defined]
    EventsWorker.set_client_override(ProcessPoolForwardingEventsClient, event_queue=_Queue(sink))


def _related_run(exclude: set[str]) -> list[RelatedResource]:
    flow, task = FlowRunContext.get(), TaskRunContext.get()
    run_id = flow.flow_run.id if flow and flow.flow_run else task.task_run.flow_run_id if task else None
    resource = f"prefect.flow-run.{run_id}"
    if run_id is None or resource in exclude:
        return []
    return [RelatedResource({"prefect.resource.id": resource, "prefect.resource.role": "flow-run"})]


class _Queue:
    """What Prefect's forwarding client puts events into; to other client classes it sends none."""

    def __init__(self, sink: Callable[[dict[str, Any]], None]) -> None:
        self._sink = sink

    def put(self, item: tuple[str, Event]) -> None:
        self._sink(item[1].model_dump(mode="json"))


class StreamClosed(Exception):
    """The server does not take events on this websocket, or no longer."""


class EventStream:
    """A websocket on which the server takes events, without the client's own copies of what it sent."""

    def __init__(self) -> None:
        self._client: Any = get_events_client(reconnection_attempts=0)

    async def __aenter__(self) -> Self:
        try:
            await self._client.__aenter__()
        except Exception as error:
            # Of no narrower class where the server does not let the client in.
            await self._client.__aexit__(None, None, None)
            raise StreamClosed(str(error) or type(error).__name__) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.__aexit__(None, None, None)

    async def send(self, text: str) -> None:
        """Send one event, as the API's JSON; that it was received, or refused, is not said."""
        try:
            await self._client._websocket.send(text)
        except RETRYABLE_EXCEPTIONS as error:
            raise StreamClosed(str(error) or type(error).__name__) from error

    async def closed(self) -> None:
        """Wait until the connection is gone; a refused event ends it."""
        await self._client._websocket.wait_closed()
