"""The sender's half of the hot update: a request as an event, sent again until the task answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from prefect.events import Event, RelatedResource, Resource
from prefect.events.clients import (
    EventsClient,
    PrefectEventSubscriber,
    get_events_client,
    get_events_subscriber,
)
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter

from skald_bridge.adapters.prefect_api import translated
from skald_bridge.adapters.prefect_commands import Commands
from skald_bridge.adapters.prefect_deployments import attachments_parameter, check
from skald_bridge.adapters.prefect_mapping import RUN_PREFIX, attachments_of
from skald_bridge.domain.errors import Rejected, Unavailable
from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import StateType
from work_pools.attachments import merge
from work_pools.messages import REVISION_LABEL, UPDATE_APPLIED, UPDATE_REJECTED, UPDATE_REQUESTED

RESEND_SECONDS = 1.0
Answer = tuple[str, int, str | None]


class Updates(Commands):
    """``Engine.update``."""

    def __init__(self) -> None:
        super().__init__()
        self._pool_ids: dict[str, str] = {}

    async def update(
        self,
        task: TaskId,
        changes: Mapping[str, Any],
        *,
        timeout: float,
        replace: bool = False,
        running: bool = False,
    ) -> Answer:
        deadline = asyncio.get_running_loop().time() + timeout
        request: Event | None = None
        if running and (known := self.known_run(task)) is not None:
            request = await self._request(*known, changes, replace)
            await self._say(request)
        found = await self.task(task)
        if not _started(found):
            answer = await self._store(found, changes, replace)
            # A node that took it meanwhile may have read it before.
            if not _started(found := await self.task(task)):
                return answer
        if request is None:
            request = await self._request(found.run, found.pool, changes, replace)
            await self._say(request)
        async with self._conversation(found) as (outgoing, incoming):
            listening = asyncio.create_task(_answer(incoming, request.payload["update_id"]))
            try:
                while True:
                    await outgoing.emit(_again(request))
                    left = deadline - asyncio.get_running_loop().time()
                    await asyncio.wait([listening], timeout=max(0.0, min(RESEND_SECONDS, left)))
                    if listening.done():
                        return listening.result()
                    if left <= 0:
                        self._pool_ids.clear()  # the pool may be another by now
                        raise _unanswered(task, timeout)
                    found = await self.task(task)
                    if not _started(found):
                        return await self._store(found, changes, replace)
            finally:
                listening.cancel()

    async def _store(self, task: Task, changes: Mapping[str, Any], replace: bool) -> Answer:
        run = await self.row(task.id)
        parameters: dict[str, Any] = dict(run.get("parameters") or {})
        schema = await self._schema(task)
        name = attachments_parameter(schema) or next(iter(parameters), None)
        merged = dict(changes) if replace else merge(attachments_of(parameters), changes)
        stored = {name: merged} if name and attachments_parameter(schema) else {**parameters, **merged}
        check(stored, schema)
        revision = task.revision + 1
        try:
            await self.client.update_flow_run(UUID(task.run), parameters=stored)
            await self.client.update_flow_run_labels(UUID(task.run), {REVISION_LABEL: revision})
        except Exception as error:
            raise translated(error) from error
        return "stored", revision, None

    async def _schema(self, task: Task) -> Mapping[str, Any] | None:
        if task.deployment_id is None:
            return None
        deployment = await self.call("GET", f"/deployments/{task.deployment_id}")
        schema: Mapping[str, Any] | None = deployment.get("parameter_openapi_schema")
        return schema

    async def _say(self, request: Event) -> None:
        """Before its answer can be heard; the task answers the same update again."""
        await self.call("POST", "/events", [_again(request).model_dump(mode="json")])

    async def _request(self, run: str, pool: str | None, changes: Mapping[str, Any], replace: bool) -> Event:
        related: list[RelatedResource] = []
        if pool is not None:
            if pool not in self._pool_ids:
                self._pool_ids[pool] = (await self.call("GET", f"/work_pools/{pool}"))["id"]
            related.append(
                RelatedResource(
                    {
                        "prefect.resource.id": f"prefect.work-pool.{self._pool_ids[pool]}",
                        "prefect.resource.name": pool,
                        "prefect.resource.role": "work-pool",
                    }
                )
            )
        return Event(
            event=UPDATE_REQUESTED,
            resource=Resource({"prefect.resource.id": RUN_PREFIX + run}),
            related=related,
            payload={"update_id": str(uuid4()), "attachments" if replace else "changes": dict(changes)},
        )

    @asynccontextmanager
    async def _conversation(self, task: Task) -> AsyncIterator[tuple[EventsClient, PrefectEventSubscriber]]:
        answers = EventFilter(
            event=EventNameFilter(name=[UPDATE_APPLIED, UPDATE_REJECTED]),
            resource=EventResourceFilter(id=[RUN_PREFIX + task.run]),
        )
        async with AsyncExitStack() as stack:
            try:
                incoming = await stack.enter_async_context(get_events_subscriber(answers))
                outgoing = await stack.enter_async_context(get_events_client(checkpoint_every=1))
            except Exception as error:
                raise translated(error) from error
            yield outgoing, incoming


def _again(request: Event) -> Event:
    """Subscribers drop a second event of the same id; the update's own id tells a repeat."""
    return request.model_copy(update={"id": uuid4()})


async def _answer(incoming: PrefectEventSubscriber, update_id: str) -> Answer:
    async for event in incoming:
        told = event.payload
        if told.get("update_id") == update_id:
            applied = event.event == UPDATE_APPLIED
            return "applied" if applied else "rejected", int(told.get("revision", 0)), told.get("reason")
    raise Unavailable("Prefect's event stream ended", remedy="Send the update again.")


def _started(task: Task) -> bool:
    """Raises ``Rejected`` for a task that has ended."""
    if task.state is None or task.state.type is StateType.SCHEDULED:
        return False
    if task.state.type.terminal:
        raise Rejected(
            f"Task {task.id} is {task.state.name}: its attachments cannot be updated any more",
            remedy="Create a new task with them.",
        )
    return True


def _unanswered(task: TaskId, timeout: float) -> Unavailable:
    return Unavailable(
        f"Task {task} did not answer the update within {timeout:g} s",
        remedy="Only flows that call live(attachments) take updates; `skald nodes` shows the nodes alive.",
    )
