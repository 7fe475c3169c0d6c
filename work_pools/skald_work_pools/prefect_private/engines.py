"""Prefect's engines without the requests that need not precede user code, and with the node's word for signals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import prefect._internal.control_listener as control_listener
import prefect.engine
import prefect.flow_engine as flow_engine
from prefect._flow_run_suspension import (
    FlowRunSuspensionRequest,
    is_suspended_flow_run_state,
    register_flow_run_suspension_request,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import AsyncClientContext, SyncClientContext
from prefect.flow_engine import AsyncFlowRunEngine, FlowRunEngine

from skald_work_pools.prefect_private.clients import answer_once, insist_once
from skald_work_pools.prefect_private.host import Host, handed
from skald_work_pools.prefect_private.proposals import insist_on_states

P = ParamSpec("P")
R = TypeVar("R")
_POLICY_WAIT = 5.0


def install(host: Host) -> None:
    """Let every engine of this process, subflows included, work with ``host``."""
    handed.host = host
    for module in (control_listener, flow_engine, prefect.engine):
        module.get_intent = host.intent  # type: ignore[attr-defined]
    insist_on_states()
    flow_engine.FlowRunEngine = NodeEngine  # type: ignore[misc]
    flow_engine.AsyncFlowRunEngine = AsyncNodeEngine  # type: ignore[misc]


class _Suspension(FlowRunSuspensionRequest):
    """Asks the API only after the node has seen the run suspended."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__()
        self._run_id = run_id

    def get_state(self) -> State[Any] | None:
        if super().get_state() is None and handed.host.suspension_seen():
            state = get_client(sync_client=True).read_flow_run(self._run_id).state
            if state is not None and is_suspended_flow_run_state(state):
                self.mark_requested(state)
        return super().get_state()


class _NodeEngine:
    """What both engines share. ``_is_handed`` marks the run that the node handed over, not a subflow."""

    heartbeat_seconds = None  # the node watches the process and sends heartbeats itself
    flow_run: Any
    flow: Any
    _flow_run_suspension_request: FlowRunSuspensionRequest
    _fresh = True

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[misc]
        if self._is_handed:
            self._flow_run_suspension_request = _Suspension(self.flow_run.id)

    @property
    def _is_handed(self) -> bool:
        return self.flow_run is not None and self.flow_run.id == handed.run_id

    @contextmanager
    def setup_flow_run_suspension_request(self) -> Generator[FlowRunSuspensionRequest, None, None]:
        request: FlowRunSuspensionRequest = self._get_flow_run_suspension_request()  # type: ignore[attr-defined]
        with register_flow_run_suspension_request(self.flow_run.id, request):
            request.raise_if_requested()
            yield request

    def _book_once(self, client: Any, coroutine: bool = False) -> None:
        """Version and policy of the flow: its node stores them, or else the engine, until it has."""
        if self._is_handed and handed.books:
            answer_once(client, "update_flow_run", lambda: None, coroutine=coroutine)
        elif self._is_handed:
            insist_once(client, "update_flow_run", coroutine=coroutine)

    def _as_started(self) -> FlowRun:
        """The run as the API would tell it now."""
        run, state = self.flow_run, self.flow_run.state
        update = {"run_count": run.run_count + 1, "start_time": run.start_time or state.timestamp}
        started: FlowRun = run.model_copy(update=update)
        return started

    def _policy_missing(self, state: State[Any]) -> bool:
        in_books = self._is_handed and handed.books
        return in_books and state.is_failed() and bool(self.flow_run.empirical_policy.retries)

    def _policy(self) -> dict[str, Any]:
        return {
            "flow_run_id": self.flow_run.id,
            "flow_version": self.flow.version,
            "empirical_policy": self.flow_run.empirical_policy,
        }

    def _cancels(self, state: State[Any]) -> bool:
        """Whether the run is Cancelling in Prefect already: its node heard it from there."""
        return self._is_handed and state.is_cancelling() and handed.host.intent() == "cancel"

    def _assume(self, state: State[Any]) -> None:
        self.flow_run.state, self.flow_run.state_name, self.flow_run.state_type = (
            state,
            state.name,
            state.type,
        )

    def _tell(self, state: State[Any]) -> None:
        if self._is_handed:
            handed.host.stated(state)


class NodeEngine(_NodeEngine, FlowRunEngine[P, R]):
    """Prefect's engine for sync flows, without the requests that need not precede user code."""

    @contextmanager
    def initialize_run(self) -> Generator[Any, None, None]:
        with SyncClientContext.get_or_create() as context:
            self._book_once(context.client)
            with super().initialize_run():
                yield self

    @contextmanager
    def setup_run_context(self, client: Any = None) -> Generator[None, None, None]:
        client = client or self.client
        if self._is_handed and self._fresh:
            self._fresh = False
            answer_once(client, "read_flow_run", self._as_started)
        with super().setup_run_context(client):
            yield

    def set_state(self, state: State[Any], force: bool = False) -> State[Any]:
        if self._cancels(state):
            self._assume(state)
            self._tell(state)
            self.call_hooks(state)
            return state
        if self._policy_missing(state):
            deadline = time.monotonic() + _POLICY_WAIT
            while not handed.host.policy_stored():
                if time.monotonic() > deadline:
                    self.client.update_flow_run(**self._policy())
                    break
                time.sleep(0.005)
        reached = super().set_state(state, force)
        self._tell(reached)
        return reached


class AsyncNodeEngine(_NodeEngine, AsyncFlowRunEngine[P, R]):
    """The same for async flows."""

    @asynccontextmanager
    async def initialize_run(self) -> AsyncGenerator[Any, None]:
        async with AsyncClientContext.get_or_create() as context:
            self._book_once(context.client, coroutine=True)
            async with super().initialize_run():
                yield self

    @asynccontextmanager
    async def setup_run_context(self, client: Any = None) -> AsyncGenerator[None, None]:
        client = client or self.client
        if self._is_handed and self._fresh:
            self._fresh = False
            answer_once(client, "read_flow_run", self._as_started, coroutine=True)
        async with super().setup_run_context(client):
            yield

    async def set_state(self, state: State[Any], force: bool = False) -> State[Any]:
        if self._cancels(state):
            self._assume(state)
            self._tell(state)
            await self.call_hooks(state)
            return state
        if self._policy_missing(state):
            deadline = time.monotonic() + _POLICY_WAIT
            while not handed.host.policy_stored():
                if time.monotonic() > deadline:
                    await self.client.update_flow_run(**self._policy())
                    break
                await asyncio.sleep(0.005)
        reached = await super().set_state(state, force)
        self._tell(reached)
        return reached
