"""The sender's half of the hot update: a request as an event, sent again until the task answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from skald_bridge.adapters.prefect_api import PrefectApi
from skald_bridge.adapters.prefect_commands import TaskCommands
from skald_bridge.adapters.prefect_deployments import (
    attachments_parameter,
    check,
    check_added,
    parameters_of,
    refusal,
)
from skald_bridge.adapters.prefect_identity import RunIds
from skald_bridge.adapters.prefect_mapping import attachments_of
from skald_bridge.adapters.prefect_reading import TaskReader
from skald_bridge.adapters.prefect_update_channel import Answer, Talk
from skald_bridge.domain.errors import NotFound, Rejected, SkaldError, Unavailable
from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.values import check_values
from skald_work_pools.attachments import merge
from skald_work_pools.messages import (
    KEPT,
    POOL_RESOURCE,
    RESOURCE_ID,
    RESOURCE_NAME,
    RESOURCE_ROLE,
    REVISION_LABEL,
    RUN_RESOURCE,
    UPDATE_REQUESTED,
)

RESEND_SECONDS = 1.0
SOON_SECONDS = 0.25
"""Without an answer, it is asked whether a task is at work that was said to be."""


class HotUpdates:
    """``Engine.update`` and ``Engine.restart``."""

    def __init__(self, api: PrefectApi, runs: RunIds, reader: TaskReader, commands: TaskCommands) -> None:
        self._api = api
        self._runs = runs
        self._reader = reader
        self._commands = commands
        self._pool_ids: dict[str, str] = {}
        self._talk = Talk(lambda: api.connection)

    async def close(self) -> None:
        await self._talk.close()

    async def update(
        self,
        task: TaskId,
        changes: Mapping[str, Any],
        *,
        timeout: float,
        replace: bool = False,
        running: bool = False,
    ) -> Answer:
        check_values(changes)
        deadline = asyncio.get_running_loop().time() + timeout
        known = self._runs.known.run_and_pool(task) if running else None
        if known is None:
            found = await self._reader.task(task)
            if (stored := await self._stored(found, changes, replace)) is not None:
                return stored
            known = found.run, found.pool
        request = await self._request(*known, changes, replace)
        with self._talk.expecting(request["payload"]["update_id"]) as answer:
            patience = SOON_SECONDS if running else RESEND_SECONDS
            while True:
                await self._talk.say(request)
                left = deadline - asyncio.get_running_loop().time()
                await asyncio.wait([answer], timeout=max(0.0, min(patience, left)))
                if answer.done():
                    return answer.result()
                if left <= 0:
                    self._pool_ids.clear()  # the pool may be another by now
                    raise _unanswered(task, timeout)
                found = await self._reader.task(task)
                if (stored := await self._stored(found, changes, replace)) is not None:
                    return stored
                if _paused(found):
                    stored = await self._store(found, changes, replace)
                    # Its frozen process has the request, and answers when it goes on.
                    await self._talk.say({**request, "payload": {**request["payload"], KEPT: True}})
                    return stored
                patience = RESEND_SECONDS

    async def restart(
        self,
        task: TaskId,
        attachments: Mapping[str, Any],
        *,
        name: str | None = None,
        labels: Mapping[str, Any] | None = None,
        held: bool = False,
    ) -> None:
        check_values(attachments)
        run = await self._runs.row(task)
        found = (await self._reader.tasks_of([run]))[0]
        if found.state is not None and not found.state.type.terminal:
            raise Rejected(
                f"Task {task} is {found.state.name}; only a task that has ended can begin again",
                remedy="Wait for its end, or cancel it first.",
            )
        deployment = await self._deployment(found)
        if deployment is None:
            raise Rejected(
                f"Task {task} cannot begin again: its deployment is gone",
                remedy="Give the task an id of its own.",
            )
        _, parameters = parameters_of(deployment, attachments)
        check(parameters, deployment.get("parameter_openapi_schema"), found.class_name)
        before, own = dict(run.get("parameters") or {}), run.get("labels") or {}
        changed = {**(labels or {}), REVISION_LABEL: found.revision + 1}
        await self._write(found, parameters, changed, name=name or found.name)
        try:
            await self._commands.propose_again(task, held=held)
        except SkaldError:
            # What has ended for good keeps what it ended with.
            kept = {label: own[label] for label in changed if label in own} | {REVISION_LABEL: found.revision}
            await self._write(found, before, kept, name=found.name)
            raise

    async def _write(
        self, task: Task, parameters: dict[str, Any], labels: Mapping[str, Any], *, name: str | None = None
    ) -> None:
        given: dict[str, Any] = {"parameters": parameters} | ({} if name is None else {"name": name})
        try:
            await self._api.send("PATCH", f"/flow_runs/{task.run}", given)
            if labels:
                await self._api.send("PATCH", f"/flow_runs/{task.run}/labels", dict(labels))
        except Exception as error:
            raise refusal(error) or self._api.translated(error) from error

    async def _stored(self, task: Task, changes: Mapping[str, Any], replace: bool) -> Answer | None:
        """For a task that has no process: it has not started, or is suspended; ``None`` for one at work."""
        if _started(task) and not _suspended(task):
            return None
        answer = await self._store(task, changes, replace)
        # A node that took it meanwhile may have read it before.
        now = await self._reader.task(task.id)
        return None if _started(now) and not _suspended(now) else answer

    async def _store(self, task: Task, changes: Mapping[str, Any], replace: bool) -> Answer:
        run = await self._runs.row(task.id)
        parameters: dict[str, Any] = dict(run.get("parameters") or {})
        schema = await self._schema(task)
        name = attachments_parameter(schema) or next(iter(parameters), None)
        before = attachments_of(parameters)
        merged = dict(changes) if replace else merge(before, changes)
        check_added(merged.keys() - before.keys(), schema, task.class_name)
        stored = {name: merged} if name and attachments_parameter(schema) else {**parameters, **merged}
        check(stored, schema, task.class_name)
        revision = task.revision + 1
        await self._write(task, stored, {REVISION_LABEL: revision})
        return "stored", revision, None

    async def _schema(self, task: Task) -> Mapping[str, Any] | None:
        if task.deployment_id is None:
            return None
        deployment = await self._api.call("GET", f"/deployments/{task.deployment_id}")
        schema: Mapping[str, Any] | None = deployment.get("parameter_openapi_schema")
        return schema

    async def _deployment(self, task: Task) -> Mapping[str, Any] | None:
        if task.deployment_id is None:
            return None
        try:
            found: Mapping[str, Any] = await self._api.call("GET", f"/deployments/{task.deployment_id}")
        except NotFound:
            return None
        return found

    async def _request(
        self, run: str, pool: str | None, changes: Mapping[str, Any], replace: bool
    ) -> dict[str, Any]:
        related: list[dict[str, str]] = []
        if pool is not None:
            if pool not in self._pool_ids:
                self._pool_ids[pool] = (await self._api.call("GET", f"/work_pools/{pool}"))["id"]
            related.append(
                {
                    RESOURCE_ID: POOL_RESOURCE + self._pool_ids[pool],
                    RESOURCE_NAME: pool,
                    RESOURCE_ROLE: "work-pool",
                }
            )
        return {
            "event": UPDATE_REQUESTED,
            "resource": {RESOURCE_ID: RUN_RESOURCE + run},
            "related": related,
            "payload": {"update_id": str(uuid4()), "attachments" if replace else "changes": dict(changes)},
        }


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


def _paused(task: Task) -> bool:
    return task.state is not None and task.state.type is StateType.PAUSED


def _suspended(task: Task) -> bool:
    """Its process has ended, and another begins with what Prefect keeps."""
    return _paused(task) and task.state is not None and task.state.name == "Suspended"


def _unanswered(task: TaskId, timeout: float) -> Unavailable:
    return Unavailable(
        f"Task {task} did not answer the update within {timeout:g} s",
        remedy="Only flows that call live(attachments) take updates; `skald nodes` shows the nodes alive.",
    )
