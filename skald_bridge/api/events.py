"""Server-sent events: heartbeats, states and errors as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse

from skald_bridge.api.problems import responses
from skald_bridge.api.reading import Given
from skald_bridge.api.stream import Snapshot, Stream
from skald_bridge.api.system_models import EventsStatusOut
from skald_bridge.api.watch import Watch
from skald_bridge.domain.errors import Unavailable
from skald_bridge.wire.skalds import to_ms

FIRST_LOOK_SECONDS = 15.0
router = APIRouter(prefix="/api/events", tags=["events"])


def _watch(request: Request) -> Watch:
    watch: Watch = request.app.state.watch
    return watch


Watching = Annotated[Watch, Depends(_watch)]
LastId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", max_length=100, description="The id of the last event that was received."),
]
Only = Annotated[str | None, Query(max_length=200)]
_STREAM = {
    200: {
        "description": "Events without end; each has a JSON object with type, the id, data and timestamp (ms).",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    **responses(503),
}


@router.get("/skalds", response_class=StreamingResponse, responses=_STREAM)
async def follow_skalds(watch: Watching, skald_id: Only = None, last_id: LastId = None) -> StreamingResponse:
    """Types skald_status and skald_heartbeat."""
    return await _following(watch, watch.skalds, watch.skald_snapshot, skald_id, last_id)


@router.get("/tasks", response_class=StreamingResponse, responses=_STREAM)
async def follow_tasks(watch: Watching, task_id: Only = None, last_id: LastId = None) -> StreamingResponse:
    """Types task_heartbeat, task_error and task_exception."""
    return await _following(watch, watch.tasks, watch.task_snapshot, task_id, last_id)


@router.get("/status")
async def get_events_status(backend: Given, watch: Watching) -> EventsStatusOut:
    return EventsStatusOut(connected_clients=watch.clients, timestamp=to_ms(backend.clock.now()))


async def _following(
    watch: Watch, stream: Stream, snapshot: Snapshot, only: str | None, last_id: str | None
) -> StreamingResponse:
    with watch.following():
        try:
            async with asyncio.timeout(FIRST_LOOK_SECONDS):
                await watch.ready()
        except TimeoutError as error:
            raise Unavailable(
                "The bridge cannot say yet what is so.", remedy="GET /api/system/health says why."
            ) from error

    async def events() -> AsyncIterator[str]:
        with watch.following():
            async for text in stream.follow(snapshot, only=only or None, last_id=last_id):
                yield text

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)
