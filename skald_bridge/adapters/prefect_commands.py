"""Commands to Prefect: a run created, a state changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import State
from prefect.client.schemas.objects import StateType as PrefectStateType
from prefect.client.schemas.responses import OrchestrationResult, SetStateStatus
from prefect.states import Paused, Scheduled

from skald_bridge.adapters.prefect_api import translated
from skald_bridge.adapters.prefect_deployments import COMPARE, check_names, chosen, parameters_of
from skald_bridge.adapters.prefect_reading import POOL_TYPE, Reading
from skald_bridge.domain.errors import InvalidInput, NotFound, Rejected
from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import StateType

PAUSE_SECONDS = 10 * 365 * 86400


class Commands(Reading):
    """The commands of the ``Engine`` port, all but the hot update."""

    async def create(
        self,
        class_name: str,
        attachments: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        job_variables: Mapping[str, Any] | None = None,
        labels: Mapping[str, Any] | None = None,
    ) -> Task:
        deployment = await self.deployment_for(class_name)
        _, parameters = parameters_of(deployment, attachments)
        try:
            check_names(parameters, deployment.get("parameter_openapi_schema"))
            run = await self.client.create_flow_run_from_deployment(
                UUID(deployment["id"]),
                parameters=parameters,
                name=name,
                tags=tags,
                idempotency_key=idempotency_key,
                job_variables=dict(job_variables) if job_variables else None,
                labels=dict(labels) if labels else None,
            )
        except Exception as error:
            raise _named(class_name, translated(error)) from error
        return (await self._tasks([run.model_dump(mode="json")]))[0]

    async def deployment_for(self, class_name: str) -> Mapping[str, Any]:
        """The deployment that serves a class name, as Prefect's JSON.

        Raises:
            NotFound: no deployment has that flow; the message lists the class names that have one.
        """
        rows = await self.pages("/deployments/filter", {"flows": {"name": {"any_": [class_name]}}})
        if not rows:
            known = ", ".join(await self.class_names()) or "none"
            raise NotFound(
                f"className: no task type {class_name!r} is deployed; deployed are: {known}",
                remedy="Write it as one of these, or deploy the flow: `prefect deploy`.",
            )
        if len(rows) == 1:
            return dict(rows[0])
        pools = await self.pages("/work_pools/filter", {"work_pools": {"type": {"any_": [POOL_TYPE]}}})
        return chosen(rows, {pool["name"] for pool in pools})

    async def cancel(self, task: TaskId) -> None:
        await self._propose(task, State(type=PrefectStateType.CANCELLING), "cancelled")
        last = (await self.history(task))[-2:]
        if [state.type for state in last] == [StateType.SCHEDULED, StateType.CANCELLING]:
            # It waited for a retry: no process is left that would end it.
            await self._propose(task, State(type=PrefectStateType.CANCELLED), "cancelled")

    async def pause(self, task: TaskId) -> None:
        await self._propose(task, Paused(timeout_seconds=PAUSE_SECONDS, reschedule=False), "paused")

    async def resume(self, task: TaskId) -> None:
        await self._run(task)
        try:
            result = await self.client.resume_flow_run(UUID(task))
        except Exception as error:
            raise translated(error) from error
        _accepted(result, task, "resumed")

    async def retry(self, task: TaskId) -> None:
        """A new attempt of a task that has ended."""
        found = await self.task(task)
        if found.state is not None and not found.state.type.terminal:
            raise Rejected(
                f"Task {task} is {found.state.name}; only a task that has ended can be retried",
                remedy=f"Wait for its end, or `skald cancel {task}` first.",
            )
        await self._propose(task, Scheduled(name="AwaitingRetry"), "retried")

    async def _propose(self, task: TaskId, state: State[Any], done: str) -> None:
        await self._run(task)
        try:
            result = await self.client.set_flow_run_state(UUID(task), state)
        except Exception as error:
            raise translated(error) from error
        _accepted(result, task, done)


def _accepted(result: OrchestrationResult[Any], task: TaskId, done: str) -> None:
    if result.status is SetStateStatus.ACCEPT:
        return
    if result.status is SetStateStatus.REJECT and done == "cancelled" and _is_cancelled(result):
        return
    reason = getattr(result.details, "reason", None) or "Prefect gives no reason"
    raise Rejected(f"Task {task} cannot be {done}: {reason}", remedy=f"`skald task {task}` shows its state.")


def _is_cancelled(result: OrchestrationResult[Any]) -> bool:
    """The server made Cancelled of it at once: there was no process to end."""
    return result.state is not None and result.state.is_cancelled()


def _named(class_name: str, error: Exception) -> Exception:
    if isinstance(error, InvalidInput):
        detail = error.message.removeprefix("Error creating flow run: ")
        return InvalidInput(f"{class_name}: {detail}", remedy=error.remedy or COMPARE)
    return error
