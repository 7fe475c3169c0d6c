"""The requests a node makes of Prefect about runs. None of them is lost when the server is away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas import OrchestrationResult
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import Abort, ObjectNotFound, Pause
from prefect.states import (
    AwaitingRetry,
    Cancelled,
    Crashed,
    Pending,
    Scheduled,
    Suspended,
    to_state_create,
)
from prefect.utilities.engine import propose_state

from skald_work_pools.messages import claim_message, claimant
from skald_work_pools.pages import batches, runs_where, runs_with_ids, with_ids
from skald_work_pools.retrying import insist, unanswered

AWAITING_RETRY = "AwaitingRetry"
LIVE = FlowRunFilterState.model_validate(
    {
        "operator": "or_",
        "type": {"any_": [StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING]},
        "name": {"any_": [AWAITING_RETRY]},
    }
)
"""States of runs that some node has, or had when it died."""
MOST_IDS = 2000
"""In one request: databases take some 30,000 values in one."""
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
        transition = uuid4()
        client: Any = _SameTransition(self._client, transition)
        proposed: State[Any] = Pending(message=claim_message(self._name))
        try:
            state = await insist(lambda: propose_state(client, proposed, flow_run_id=run_id), "claim")
        except ObjectNotFound:
            return "it was deleted"
        except (Abort, Pause, httpx.HTTPStatusError) as refusal:
            # The answer to an earlier attempt may have been lost: then the claim is ours.
            run = await self.read(run_id)
            if run is None or run.state is None or not _is_of(run.state, transition):
                return str(refusal) or "Prefect refused it"
            state = run.state
        if not state.is_pending() or not _is_of(state, transition):
            return f"Prefect answered {state.name}: {state.message or ''}"
        return state

    async def undo(self, run_id: UUID, claim: State[Any]) -> None:
        """Put the run back into the state that it had before this ``claim``."""
        states = await self.states(run_id)
        place = next((place for place, state in enumerate(states) if state.id == claim.id), 0)
        if place:
            await self._propose(run_id, states[place - 1], force=True)

    async def read(self, run_id: UUID) -> FlowRun | None:
        """The run; ``None`` when it was deleted."""
        try:
            return await insist(lambda: self._client.read_flow_run(run_id), "read")
        except ObjectNotFound:
            return None

    async def newest(self, run_id: UUID) -> dict[str, Any] | None:
        """The run as the API gives it; ``None`` when it was deleted."""
        try:
            answer = await insist(
                lambda: self._client.request("GET", "/flow_runs/{id}", path_params={"id": run_id}), "run"
            )
        except httpx.HTTPStatusError:
            return None
        run: dict[str, Any] = answer.json()
        return run

    async def read_many(self, run_ids: Iterable[UUID]) -> list[FlowRun]:
        """Those that exist.

        Raises:
            httpx.HTTPError: the server does not answer; the next sweep asks again.
        """
        return await runs_with_ids(self._client, run_ids)

    async def read_live(self, run_ids: Iterable[UUID]) -> list[FlowRun]:
        """Those of the runs that are in a state of ``LIVE``.

        Raises:
            httpx.HTTPError: the server does not answer; the next sweep asks again.
        """
        found: list[FlowRun] = []
        for some in batches(run_ids, MOST_IDS):
            found += await runs_where(self._client, FlowRunFilter(id=with_ids(some), state=LIVE))
        return found

    async def read_pool(self, pool: str, state: FlowRunFilterState) -> list[FlowRun]:
        """All runs of the pool in such a state.

        Raises:
            httpx.HTTPError: the server does not answer; the next sweep asks again.
        """
        return await runs_where(self._client, FlowRunFilter(state=state), pool)

    async def retried(self, run_id: UUID) -> int:
        """How many attempts were followed by another; those that ended before Running are among them."""
        states = await insist(lambda: self._client.read_flow_run_states(run_id), "states")
        return sum(state.name == AWAITING_RETRY for state in states)

    async def states(self, run_id: UUID) -> list[State[Any]]:
        """All states of the run, oldest first."""
        states = await insist(lambda: self._client.read_flow_run_states(run_id), "states")
        return sorted(states, key=lambda state: state.timestamp)

    async def default_result_storage(self) -> str | None:
        """Id of the block in which the server has results stored; children would each ask for it.

        Raises:
            httpx.HTTPError: the server does not answer.
        """
        try:
            found = await self._client.read_server_default_result_storage()
        except httpx.HTTPStatusError as error:
            if unanswered(error):
                raise
            return None
        block = found.default_result_storage_block_id
        return str(block) if block else None

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


def claimed(states: Sequence[State[Any]]) -> tuple[str | None, Sequence[State[Any]]]:
    """The node that claimed the run last, by its ``states``, oldest first; and the states since."""
    for place in range(len(states) - 1, -1, -1):
        if name := claimant(states[place].message):
            return name, states[place:]
    return None, states


def _is_of(state: State[Any], transition: UUID) -> bool:
    return state.state_details.transition_id == transition


class _SameTransition:
    """What ``propose_state`` needs of a client: the server knows a repeated proposal by its transition's id."""

    def __init__(self, client: PrefectClient, transition: UUID) -> None:
        self._client = client
        self._transition = transition

    async def set_flow_run_state(
        self, flow_run_id: UUID, state: State[Any], force: bool = False
    ) -> OrchestrationResult[Any]:
        proposed = to_state_create(state)
        proposed.state_details.flow_run_id = flow_run_id
        proposed.state_details.transition_id = self._transition
        body = {"state": proposed.model_dump(mode="json", serialize_as_any=True), "force": force}
        try:
            answer = await self._client.request(
                "POST", "/flow_runs/{id}/set_state", path_params={"id": flow_run_id}, json=body
            )
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                raise ObjectNotFound(http_exc=error) from error
            raise
        return OrchestrationResult.model_validate(answer.json())
