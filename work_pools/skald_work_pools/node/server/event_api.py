"""The requests an emitter makes of Prefect's server, and what their answers prove."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
from prefect.client.orchestration import PrefectClient

from skald_work_pools.node.server.event_outbox import Question
from skald_work_pools.node.server.outgoing_event import OutgoingEvent
from skald_work_pools.retrying import unanswered

TASK_RUNS_PAGE, EVENTS_PAGE = 200, 50
"""What one answer of the server holds at most."""
AT_ONCE = 8
_log = logging.getLogger("skald.node.events")


class EventApi:
    """On a node's client. Everything raises ``httpx.HTTPError`` when the server does not answer."""

    def __init__(self, client: PrefectClient) -> None:
        self._client = client

    async def post(self, events: Sequence[OutgoingEvent]) -> None:
        """Have the server take all of these, or none."""
        await self._client.request(
            "POST",
            "/events",
            content=f"[{','.join(event.text for event in events)}]",
            headers={"Content-Type": "application/json"},
        )

    async def recorded(self, questions: Sequence[Question]) -> set[str]:
        """Ids of those that the server has in its database."""
        states = [each for each in questions if each.event.task_run_id]
        others = [each.event for each in questions if not each.event.task_run_id]
        newest = await self._newest_states(sorted({each.event.task_run_id for each in states}))
        proven, unsure = judge(states, newest)
        return proven | await self._stored(others) | await self._states(unsure)

    async def _newest_states(self, task_runs: list[str]) -> dict[str, tuple[str, datetime]]:
        """Id and time of each task run's state."""
        found: dict[str, tuple[str, datetime]] = {}
        for page in _pages(task_runs, TASK_RUNS_PAGE):
            body = {"task_runs": {"id": {"any_": page}}, "limit": TASK_RUNS_PAGE}
            for run in await _answer(self._client.request("POST", "/task_runs/filter", json=body)) or []:
                if state := run.get("state"):
                    found[run["id"]] = (state["id"], datetime.fromisoformat(state["timestamp"]))
        return found

    async def _states(self, events: Iterable[OutgoingEvent]) -> set[str]:
        """One by one: a state of a task run that another attempt had first is known by its own id alone."""
        limit = asyncio.Semaphore(AT_ONCE)

        async def has(event: OutgoingEvent) -> str:
            async with limit:
                asked = self._client.request("GET", "/task_run_states/{id}", path_params={"id": event.id})
                return event.id if await _answer(asked) else ""

        return set(await asyncio.gather(*map(has, events))) - {""}

    async def _stored(self, events: list[OutgoingEvent]) -> set[str]:
        found: set[str] = set()
        for page in _pages(events, EVENTS_PAGE):
            times = [event.occurred for event in page]
            # A clock that is ahead of the server's must not hide them: by default the search ends now.
            span = {"since": _days_from(min(times), -1), "until": _days_from(max(times), 1)}
            wanted = {"id": {"id": [event.id for event in page]}, "occurred": span}
            body = {"filter": wanted, "limit": EVENTS_PAGE}
            answer = await _answer(self._client.request("POST", "/events/filter", json=body)) or {}
            found |= {event["id"] for event in answer.get("events", ())}
        return found


async def _answer(request: Awaitable[httpx.Response]) -> Any:
    """The answer's JSON; ``None`` when the server has none to this question."""
    try:
        return (await request).json()
    except httpx.HTTPStatusError as error:
        if unanswered(error) or error.response.status_code in (401, 403):
            raise
        if error.response.status_code != httpx.codes.NOT_FOUND:
            _log.warning(
                "the Prefect server does not tell which events it has: %s", error.response.status_code
            )
        return None


def judge(
    questions: Iterable[Question], newest: dict[str, tuple[str, datetime]]
) -> tuple[set[str], list[OutgoingEvent]]:
    """Ids of the states that the task runs' newest ones prove, and those that only a closer look can tell of.

    ``newest``: id and time of the newest state of each task run that the server has.
    """
    proven: set[str] = set()
    unsure: list[OutgoingEvent] = []
    for question in questions:
        event = question.event
        id_, moment = newest.get(event.task_run_id, ("", None))
        if moment is None:
            if question.resent:
                unsure.append(event)
        elif event.id == id_ or (event.occurred < moment and question.settled):
            proven.add(event.id)
        elif event.occurred <= moment or question.resent:
            unsure.append(event)
    return proven, unsure


def _pages(items: list[Any], size: int) -> Iterable[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _days_from(moment: datetime, days: int) -> str:
    return (moment + timedelta(days=days)).isoformat()
