"""Server-sent events: heartbeats, states and errors as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from skald_bridge.api.fleet_watch import FleetWatch
from skald_bridge.api.problems import responses
from skald_bridge.api.reading import Given, known_id
from skald_bridge.api.stream import Snapshot, Stream
from skald_bridge.api.system_models import EventsStatusOut
from skald_bridge.api.watch import Watch
from skald_bridge.domain.errors import NotFound, Unavailable
from skald_bridge.wire.skalds import to_ms

FIRST_LOOK_SECONDS = 15.0
router = APIRouter(prefix="/api/events", tags=["events"])


def _watch(request: Request) -> Watch:
    watch: Watch = request.app.state.watch
    return watch


def _fleet(request: Request) -> FleetWatch:
    fleet: FleetWatch = request.app.state.fleet
    return fleet


Watching = Annotated[Watch, Depends(_watch)]
Fleet = Annotated[FleetWatch, Depends(_fleet)]
LastId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", max_length=100, description="The id of the last event that was received."),
]
Only = Annotated[str | None, Query(max_length=200)]
_TYPE = "text/event-stream"
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_STREAM = {
    200: {
        "description": "Events without end; each has a JSON object with type, the id, data and timestamp (ms).",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    **responses(503),
}
_FRAMES = {
    200: {
        "description": "Frames without end: at (ms), whole (in the first), nodes by key (null: gone), and parts.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    **responses(503),
}


@router.get("/skalds", response_class=StreamingResponse, responses=_STREAM)
async def follow_skalds(
    request: Request, watch: Watching, skald_id: Only = None, last_id: LastId = None
) -> Response:
    """Types skald_status and skald_heartbeat."""
    return await _following(request, watch, watch.skalds, watch.skald_snapshot, skald_id, last_id)


@router.get("/tasks", response_class=StreamingResponse, responses=_STREAM)
async def follow_tasks(
    request: Request, backend: Given, watch: Watching, task_id: Only = None, last_id: LastId = None
) -> Response:
    """Types task_heartbeat, task_error and task_exception."""
    if task_id:
        with suppress(NotFound, Unavailable):
            task_id = await known_id(backend, task_id)
    return await _following(request, watch, watch.tasks, watch.task_snapshot, task_id, last_id)


@router.get("/fleet", response_class=StreamingResponse, responses=_FRAMES)
async def follow_fleet(request: Request, fleet: Fleet, last_id: LastId = None) -> Response:
    """What the page /fleet/ shows: first all of it, then once a second at most what has changed."""
    return await _following(request, fleet, fleet.stream, fleet.snapshot, None, last_id)


@router.get("/status")
async def get_events_status(backend: Given, watch: Watching) -> EventsStatusOut:
    return EventsStatusOut(connected_clients=watch.clients, timestamp=to_ms(backend.clock.now()))


async def _following(
    request: Request,
    watch: Watch | FleetWatch,
    stream: Stream,
    snapshot: Snapshot,
    only: str | None,
    last_id: str | None,
) -> Response:
    if request.scope.get("head_only"):
        watch.seats.check_room()
        return Response(headers=_HEADERS, media_type=_TYPE)
    with ExitStack() as stack:
        stack.enter_context(watch.following())
        try:
            async with asyncio.timeout(FIRST_LOOK_SECONDS):
                await watch.ready()
        except TimeoutError as error:
            raise Unavailable(
                "The bridge cannot say yet what is so.", remedy="GET /api/system/health says why."
            ) from error
        events = stream.follow(snapshot, only=only or None, last_id=last_id)
        return _Events(events, stack.pop_all())


class _Events(StreamingResponse):
    """``seat`` is given back at its end, also where the client left before it began."""

    def __init__(self, events: AsyncIterator[str], seat: ExitStack) -> None:
        super().__init__(events, headers=_HEADERS, media_type=_TYPE)
        self._seat = seat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._seat:
            await super().__call__(scope, receive, send)
