"""Sends a hot update the way any sender does: a Prefect event, repeated until its answer comes."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from prefect.events import Event, RelatedResource, Resource
from prefect.events.clients import PrefectEventsClient, PrefectEventSubscriber
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter

from skald_work_pools import messages


async def send_update(
    api_url: str, run_id: str, changes: dict[str, Any], seconds: float = 30, pool: str | None = None
) -> Event:
    """The answer event; ``TimeoutError`` after ``seconds``. ``pool`` is the id of the run's work pool."""
    update_id, resource = uuid4().hex, f"prefect.flow-run.{run_id}"
    related = [
        RelatedResource(
            {"prefect.resource.id": f"prefect.work-pool.{pool}", "prefect.resource.role": "work-pool"}
        )
    ]
    answers = EventFilter(
        event=EventNameFilter(name=[messages.UPDATE_APPLIED, messages.UPDATE_REJECTED]),
        resource=EventResourceFilter(id=[resource]),
    )
    async with (
        asyncio.timeout(seconds),
        PrefectEventSubscriber(api_url, answers) as incoming,
        PrefectEventsClient(api_url, checkpoint_every=1) as outgoing,
    ):

        async def repeat() -> None:
            while True:
                await outgoing.emit(
                    Event(
                        event=messages.UPDATE_REQUESTED,
                        resource=Resource({"prefect.resource.id": resource}),
                        related=related if pool else [],
                        payload={"update_id": update_id, "changes": changes},
                    )
                )
                await asyncio.sleep(1)

        repeating = asyncio.create_task(repeat())
        try:
            async for event in incoming:
                if event.payload.get("update_id") == update_id:
                    return event
        finally:
            repeating.cancel()
    raise AssertionError("the event stream ended")
