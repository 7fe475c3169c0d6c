"""The requests a node makes of Prefect about runs. None of them is lost when the server is away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Abort, ObjectNotFound, Pause
from prefect.states import AwaitingRetry, Cancelled, Crashed, Pending, Scheduled, Suspended
from prefect.utilities.engine import propose_state

from work_pools.messages import TAKEN_BY
from work_pools.retrying import insist

AWAITING_RETRY = "AwaitingRetry"
SUSPENDED_SECONDS = 10 * 365 * 86400
"""How long a suspended run may wait for its resume."""


class RunApi:
    """For one node; ``name`` is the node's."""

    def __init__(self, client: PrefectClient, name: str) -> None:
        self._client = client
        self._name = name
        self._labelling = asyncio.Lock()

    async def scheduled(
        self, pool: str, queues: Iterable[str], before: datetime, limit: int
    ) -> list[dict[str, Any]]:
        """Runs that the pool's and queues' limits let start, those of higher queues first, as JSON.

        Raises:
            httpx.HTTPError: the server does not answer; polls are repeated anyway.
        """
        body: dict[str, Any] = {"scheduled_before": before.isoformat(), "limit": limit}
        if names := list(queues):
            body["work_queue_names"] = names
        response = await self._client.request(
            "POST", "/work_pools/{name}/get_scheduled_flow_runs", path_params={"name": pool}, json=body
        )
        return [entry["flow_run"] for entry in response.json()]

    async def claim(self, run_id: UUID) -> State[Any] | str:
        """The Pending state with which this node has the run, or why it has not."""
        message = TAKEN_BY + self._name
        since = datetime.now(UTC) - timedelta(seconds=2)
        state: State[Any] | None
        try:
            state = await insist(
                lambda: propose_state(self._client, Pending(message=message), flow_run_id=run_id), "claim"
            )
        except (Abort, Pause) as refusal:
            # The answer to an earlier attempt may have been lost: then the claim is ours.
            run = await self.read(run_id)
            state = run.state if run else None
            if state is None or not state.is_pending() or state.message != message or state.timestamp < since:
                return str(refusal) or "Prefect refused it"
        except ObjectNotFound:
            return "it was deleted"
        except httpx.HTTPStatusError as error:
            return str(error)
        return state if state.is_pending() else f"Prefect answered {state.name}: {state.message or ''}"

    async def read(self, run_id: UUID) -> FlowRun | None:
        """The run; ``None`` when it was deleted."""
        try:
            return await insist(lambda: self._client.read_flow_run(run_id), "read")
        except ObjectNotFound:
            return None

    async def told(self, run_id: UUID) -> dict[str, Any] | None:
        """The run as the API tells it; ``None`` when it was deleted."""
        try:
            answer = await insist(
                lambda: self._client.request("GET", "/flow_runs/{id}", path_params={"id": run_id}), "run"
            )
        except httpx.HTTPStatusError:
            return None
        told: dict[str, Any] = answer.json()
        return told

    async def read_many(self, run_ids: Iterable[UUID]) -> list[FlowRun]:
        """Those that exist.

        Raises:
            httpx.HTTPError: the server does not answer; the next sweep asks again.
        """
        wanted = list(run_ids)
        if not wanted:
            return []
        return await self._client.read_flow_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=wanted)), limit=200
        )

    async def retried(self, run_id: UUID) -> int:
        """How many attempts were followed by another; those that ended before Running are among them."""
        states = await insist(lambda: self._client.read_flow_run_states(run_id), "states")
        return sum(state.name == AWAITING_RETRY for state in states)

    async def states(self, run_id: UUID) -> list[State[Any]]:
        """All states of the run, oldest first."""
        states = await insist(lambda: self._client.read_flow_run_states(run_id), "states")
        return sorted(states, key=lambda state: state.timestamp)

    async def claimant(self, run_id: UUID) -> str | None:
        """The node that claimed the run last, by its states: its label follows a moment after."""
        return claimed(await self.states(run_id))[0]

    async def crash(self, run_id: UUID, message: str) -> State[Any] | None:
        return await self._propose(run_id, Crashed(message=message))

    async def cancel(self, run_id: UUID, message: str) -> State[Any] | None:
        return await self._propose(run_id, Cancelled(message=message), force=True)

    async def retry(self, run: FlowRun, delay: float) -> State[Any] | None:
        """Schedule another attempt ``delay`` seconds from now, for any node."""
        await self._hand_back(run)
        when = datetime.now(UTC) + timedelta(seconds=delay)
        return await self._propose(run.id, AwaitingRetry(scheduled_time=when), force=True)

    async def reschedule(self, run: FlowRun, message: str) -> State[Any] | None:
        """Schedule the run again, now, for any node."""
        await self._hand_back(run)
        return await self._propose(run.id, Scheduled(name="Rescheduled", message=message), force=True)

    async def suspend(self, run: FlowRun, message: str) -> State[Any] | None:
        """Let the run wait without a process; its resume schedules it, for any node."""
        await self._hand_back(run)
        state: State[Any] = Suspended(timeout_seconds=SUSPENDED_SECONDS, message=message)
        return await self._propose(run.id, state, force=True)

    async def patch(self, run_id: UUID, fields: dict[str, Any]) -> None:
        """Change fields of the run, in the API's names."""
        await insist(
            lambda: self._client.request("PATCH", "/flow_runs/{id}", path_params={"id": run_id}, json=fields),
            "update",
        )

    async def label(self, run_id: UUID, labels: dict[str, Any]) -> None:
        # The server reads, merges and writes them: of two at once it would lose one.
        async with self._labelling:
            await insist(lambda: self._client.update_flow_run_labels(run_id, labels), "labels")

    async def _hand_back(self, run: FlowRun) -> None:
        """Without a process id Prefect can cancel it alone; while retried in-process no node may poll it."""
        policy = run.empirical_policy.model_copy(update={"retry_type": None})
        fields = {"infrastructure_pid": None, "empirical_policy": policy.model_dump(mode="json")}
        await self.patch(run.id, fields)

    async def _propose(self, run_id: UUID, state: State[Any], force: bool = False) -> State[Any] | None:
        try:
            return await insist(
                lambda: propose_state(self._client, state, flow_run_id=run_id, force=force),
                state.name or "state",
            )
        except (Abort, Pause, ObjectNotFound):
            return None


def claimant_named(message: str | None) -> str | None:
    """The node that a claim's message names."""
    return message.removeprefix(TAKEN_BY) if message and message.startswith(TAKEN_BY) else None


def claimed(states: Sequence[State[Any]]) -> tuple[str | None, Sequence[State[Any]]]:
    """The node that claimed the run last, by its ``states``, oldest first; and the states since."""
    for place in range(len(states) - 1, -1, -1):
        if name := claimant_named(states[place].message):
            return name, states[place:]
    return None, states
