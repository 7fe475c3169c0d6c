"""Commands to Prefect: a run created, a state changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from skald_bridge.adapters.prefect_api import PrefectApi
from skald_bridge.adapters.prefect_choice import DeploymentChoice
from skald_bridge.adapters.prefect_deployments import (
    COMPARE,
    check,
    check_names,
    compare,
    parameters_of,
    place_of,
    queue_name,
    refusal,
)
from skald_bridge.adapters.prefect_gates import Newborn
from skald_bridge.adapters.prefect_identity import RunIds
from skald_bridge.adapters.prefect_mapping import TASK_TAG
from skald_bridge.adapters.prefect_reading import TaskReader
from skald_bridge.domain.dependencies import HELD
from skald_bridge.domain.documents import PRIORITY_LABEL
from skald_bridge.domain.errors import InvalidInput, Rejected
from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.values import check_values

_HELD_FOR = _PAUSED_FOR = timedelta(days=10 * 365)


class TaskCommands:
    """The commands of the ``Engine`` port, all but the hot update."""

    def __init__(
        self,
        api: PrefectApi,
        runs: RunIds,
        reader: TaskReader,
        choice: DeploymentChoice,
        born: Callable[[Newborn], None],
    ) -> None:
        """``born`` hears of each run that is to start at once."""
        self._api = api
        self._born = born
        self._runs = runs
        self._reader = reader
        self._choice = choice
        self._queues: set[tuple[str, str]] = set()
        self._making = asyncio.Lock()

    async def create(
        self,
        class_name: str,
        attachments: Mapping[str, Any],
        *,
        task: TaskId | None = None,
        idempotency_key: str | None = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        job_variables: Mapping[str, Any] | None = None,
        labels: Mapping[str, Any] | None = None,
        priority: int = 0,
        held: bool = False,
        deployment: str | None = None,
        pool: str | None = None,
        only_if_served: bool = False,
    ) -> Task:
        check_values(attachments)
        if only_if_served and idempotency_key is not None:
            only_if_served = not await self._is_made(class_name, idempotency_key)
        refused: Rejected | None = None
        if deployment or pool or job_variables or only_if_served:
            served = await self._choice.deployment_for(
                class_name,
                deployment=deployment,
                pool=pool,
                variables=job_variables,
                only_if_served=only_if_served,
            )
            row, refused = served.deployment, served.refusal
        else:
            row = await self._choice.serving(class_name)
        _, parameters = parameters_of(row, attachments)
        if refused is not None:
            # What is wrong with the task itself is said first.
            check(parameters, row.get("parameter_openapi_schema"), class_name)
            raise refused
        given = {**(labels or {}), **({PRIORITY_LABEL: priority} if priority else {})}
        try:
            check_names(parameters, row.get("parameter_openapi_schema"), class_name)
            asked = {
                "state": _held() if held else _scheduled(),
                "parameters": parameters,
                "name": name,
                "tags": list(tags) if task is None else [*tags, TASK_TAG + task],
                "idempotency_key": idempotency_key if task is None else TASK_TAG + task,
                "job_variables": dict(job_variables) if job_variables else None,
                "labels": given or None,
                "work_queue_name": await self.queue_for(row, priority),
            }
            body = {key: value for key, value in asked.items() if value is not None}
            run = await self._api.send("POST", f"/deployments/{row['id']}/create_flow_run", body)
        except Exception as error:
            self._choice.forget(class_name)
            raise _named(class_name, refusal(error) or self._api.translated(error)) from error
        if not held:
            self._born(Newborn(run, row, class_name, priority, task or run["id"]))
        made = (await self._reader.tasks_of([run]))[0]
        return replace(made, as_asked=run["parameters"] == parameters)

    async def _is_made(self, class_name: str, key: str) -> bool:
        """Whether the task of this key exists, so that asking for it makes none."""
        wanted = {
            "flows": {"name": {"any_": [class_name]}},
            "flow_runs": {"idempotency_key": {"any_": [key]}},
        }
        return bool(await self._api.pages("/flow_runs/filter", wanted, 1))

    async def queue_for(self, deployment: Mapping[str, Any], priority: int) -> str | None:
        """The work queue that is served in this priority's turn; made where there is none yet.

        ``None``, the deployment's own, for priority 0, and for a deployment that has a queue of its own choice.
        """
        pool, own = deployment.get("work_pool_name"), deployment.get("work_queue_name")
        if not priority or not pool or own not in (None, "default"):
            return None
        name = queue_name(priority)
        async with self._making:
            if (pool, name) not in self._queues:
                queues = await self._api.pages(f"/work_pools/{pool}/queues/filter", {})
                if name not in (names := [queue["name"] for queue in queues]):
                    body = {"name": name, "priority": place_of(priority, names)}
                    with suppress(InvalidInput):  # another bridge was quicker
                        await self._api.call("POST", f"/work_pools/{pool}/queues", body)
                self._queues.add((pool, name))
        return name

    async def release(self, task: TaskId) -> None:
        await self.propose(task, _scheduled(), "released")

    async def fail(self, task: TaskId, reason: str, *, cancelled: bool = False) -> None:
        kind = StateType.CANCELLED if cancelled else StateType.FAILED
        await self.propose(task, state_json(kind, message=reason), "ended")

    async def cancel(self, task: TaskId, reason: str | None = None) -> None:
        await self.propose(task, state_json(StateType.CANCELLING, message=reason), "cancelled")
        last = (await self._reader.history(task))[-2:]
        if [state.type for state in last] == [StateType.SCHEDULED, StateType.CANCELLING]:
            # It waited for a retry: no process is left that would end it.
            await self.propose(task, state_json(StateType.CANCELLED, message=reason), "cancelled")

    async def pause(self, task: TaskId) -> None:
        await self.propose(task, _paused(), "paused")

    async def resume(self, task: TaskId) -> None:
        run = await self._runs.run_id(task)
        try:
            result = await self._api.send("POST", f"/flow_runs/{run}/resume", {"run_input": None})
        except Exception as error:
            raise self._api.translated(error) from error
        _accepted(result, task, "resumed")

    async def retry(self, task: TaskId, *, after: float = 0) -> None:
        """A new attempt of a task that has ended."""
        found = await self._reader.task(task)
        if found.state is not None and not found.state.type.terminal:
            raise Rejected(
                f"Task {task} is {found.state.name}; only a task that has ended can be retried",
                remedy=f"Wait for its end, or `skald cancel {task}` first.",
            )
        await self.propose(task, _again(after), "retried")

    async def propose_again(self, task: TaskId, *, held: bool) -> None:
        """A new attempt of a task that has ended: now, or once it is released."""
        await self.propose(task, _held() if held else _again(0), "retried")

    async def propose(self, task: TaskId, state: dict[str, Any], done: str) -> None:
        """Raises ``Rejected``, "cannot be DONE", where Prefect does not accept the state."""
        run = await self._runs.run_id(task)
        # A proposal that reaches the server twice is known by this.
        state["state_details"] |= {"flow_run_id": run, "transition_id": str(uuid4())}
        try:
            result = await self._api.send(
                "POST", f"/flow_runs/{run}/set_state", {"state": state, "force": False}
            )
        except Exception as error:
            raise self._api.translated(error) from error
        _accepted(result, task, done)


def _accepted(result: Mapping[str, Any], task: TaskId, done: str) -> None:
    if result["status"] == "ACCEPT":
        return
    if result["status"] == "REJECT" and done == "cancelled" and _is_cancelled(result):
        return
    reason = (result.get("details") or {}).get("reason") or "Prefect gives no reason"
    raise Rejected(f"Task {task} cannot be {done}: {reason}", remedy=f"`skald task {task}` shows its state.")


def state_json(
    kind: StateType, name: str | None = None, message: str | None = None, **details: Any
) -> dict[str, Any]:
    """A state as Prefect's JSON; without a name it gets its type's."""
    return {"type": kind.value, "name": name, "message": message, "state_details": details}


def _scheduled(after: timedelta = timedelta(), name: str | None = None) -> dict[str, Any]:
    return state_json(StateType.SCHEDULED, name, scheduled_time=(datetime.now(UTC) + after).isoformat())


def _again(seconds: float) -> dict[str, Any]:
    return _scheduled(timedelta(seconds=seconds), "AwaitingRetry")


def _held() -> dict[str, Any]:
    """Far in the future: no worker takes it before it is released."""
    return _scheduled(_HELD_FOR, HELD)


def _paused() -> dict[str, Any]:
    """It keeps its process, and does not end by itself."""
    until = datetime.now(UTC) + _PAUSED_FOR
    return state_json(StateType.PAUSED, pause_timeout=until.isoformat(), pause_reschedule=False)


def _is_cancelled(result: Mapping[str, Any]) -> bool:
    """The server made Cancelled of it at once: there was no process to end."""
    return (result.get("state") or {}).get("type") == StateType.CANCELLED


def _named(class_name: str, error: Exception) -> Exception:
    if isinstance(error, InvalidInput):
        detail = error.message.removeprefix("Error creating flow run: ")
        known = error.remedy if error.remedy != COMPARE else None
        return InvalidInput(f"{class_name}: {detail}", remedy=known or compare(class_name))
    return error
