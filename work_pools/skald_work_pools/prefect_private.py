"""Every private part of Prefect that this package leans on; nothing else imports one.

``PRIVATE`` names them, and a test fails loudly when an upgrade moves one. What is gained: a child process is
in user code one request after it was handed a run, and its node can cancel, suspend and reschedule it without
Prefect's control socket and observer websocket.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ParamSpec, Self, TypeVar
from uuid import UUID

import httpx
import prefect._internal.control_listener as control_listener
import prefect.client.orchestration as orchestration
import prefect.engine
import prefect.events.worker as events_worker
import prefect.flow_engine as flow_engine
import prefect.results as results
from prefect._flow_run_suspension import (
    FlowRunSuspensionRequest,
    is_suspended_flow_run_state,
    register_flow_run_suspension_request,
)
from prefect._internal.engine import get_hook_name
from prefect._internal.metrics import RunMetrics
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import OrchestrationResult
from prefect.context import (
    AsyncClientContext,
    FlowRunContext,
    SettingsContext,
    SyncClientContext,
    TaskRunContext,
    get_settings_context,
    hydrated_context,
)
from prefect.events import Event, RelatedResource
from prefect.events.clients import RETRYABLE_EXCEPTIONS, get_events_client
from prefect.events.worker import EventsWorker, ProcessPoolForwardingEventsClient
from prefect.exceptions import ObjectNotFound
from prefect.flow_engine import AsyncFlowRunEngine, FlowRunEngine
from prefect.flows import Flow
from prefect.logging.handlers import APILogHandler, PrefectConsoleHandler, set_api_log_sink
from prefect.logging.loggers import flow_run_logger
from prefect.runner._workspace_resolver import PreparedWorkspace, prepare_workspace
from prefect.settings import get_current_settings
from prefect.states import Completed, Running, to_state_create
from prefect.types._datetime import now
from prefect.utilities.asyncutils import run_coro_as_sync
from prefect.utilities.callables import get_call_parameters
from prefect.utilities.engine import propose_state, propose_state_sync
from prefect.workers.server import _run_healthcheck_server

from skald_work_pools.retrying import pauses, unanswered

P = ParamSpec("P")
R = TypeVar("R")

PRIVATE: dict[str, tuple[str, ...]] = {
    "prefect._flow_run_suspension": (
        "FlowRunSuspensionRequest.get_state",
        "FlowRunSuspensionRequest.mark_requested",
        "is_suspended_flow_run_state",
        "register_flow_run_suspension_request",
    ),
    "prefect._internal.control_listener": ("get_intent",),
    "prefect._internal.engine": ("get_hook_name",),
    "prefect._internal.metrics": ("RunMetrics",),
    "prefect.client.orchestration": ("ssl",),
    "prefect.context": ("AsyncClientContext.get_or_create", "SyncClientContext.get_or_create"),
    "prefect.engine": ("get_intent", "handle_engine_signals"),
    "prefect.events.worker": (
        "EventsWorker.set_client_override",
        "ProcessPoolForwardingEventsClient",
        "related_resources_from_run_context",
    ),
    "prefect.flow_engine": (
        "AsyncFlowRunEngine.initialize_run",
        "AsyncFlowRunEngine.set_state",
        "AsyncFlowRunEngine.setup_run_context",
        "BaseFlowRunEngine._get_flow_run_suspension_request",
        "BaseFlowRunEngine.heartbeat_seconds",
        "BaseFlowRunEngine.setup_flow_run_suspension_request",
        "FlowRunEngine.call_hooks",
        "FlowRunEngine.initialize_run",
        "FlowRunEngine.set_state",
        "FlowRunEngine.setup_run_context",
        "_termination_intent",
        "get_intent",
        "propose_state",
        "propose_state_sync",
        "run_flow",
    ),
    "prefect.logging.handlers": ("APILogHandler", "PrefectConsoleHandler", "set_api_log_sink"),
    "prefect.results": (
        "_aread_server_default_result_storage_block_id",
        "_read_server_default_result_storage_block_id",
    ),
    "prefect.workers.base": (
        "BaseWorker._emit_worker_started_event",
        "BaseWorker._setup_cancellation_observer",
        "BaseWorker.sync_with_backend",
    ),
    "prefect.runner._workspace_resolver": ("PreparedWorkspace", "prepare_workspace"),
    "prefect.types._datetime": ("now",),
    "prefect.workers.server": ("_run_healthcheck_server",),
}
"""Module to names, methods with their class."""

WORKER_ATTRIBUTES = (
    "_last_polled_time",
    "_limit",
    "_started_event",
    "_work_pool",
    "_work_pool_name",
    "_work_queues",
)
"""Attributes of a ``BaseWorker`` that its ``__init__`` sets and ``NodeWorker`` uses."""

EVENTS_CLIENT_ATTRIBUTES = ("_websocket",)
"""Attributes that the ``__init__`` of ``PrefectEventsClient`` sets and ``EventStream`` uses."""


class Host:
    """What the process around a run offers its engine; the node's child overrides all of it."""

    def intent(self) -> str | None:
        """``cancel`` or ``reschedule`` when the node's SIGTERM is on its way."""
        return None

    def suspension_seen(self) -> bool:
        """Whether the run may have been suspended since the last look; reading it resets it."""
        return False

    def policy_stored(self) -> bool:
        """Whether the flow's retry policy is on the run already."""
        return False

    def stated(self, state: State[Any]) -> None:
        """The engine's proposal led to this state."""


_host = Host()
_run_id: UUID | None = None
_node_books = True
_POLICY_WAIT = 5.0


def share_ssl_contexts() -> None:
    """Make one TLS context per certificate file, not one per client (70 ms each); forks share what was made."""
    if isinstance(orchestration.ssl, SimpleNamespace):  # type: ignore[attr-defined]
        return
    made = functools.cache(ssl.create_default_context)
    orchestration.ssl = SimpleNamespace(  # type: ignore[assignment,attr-defined]
        SSLContext=ssl.SSLContext, CERT_NONE=ssl.CERT_NONE, create_default_context=made
    )


def install(host: Host) -> None:
    """Let every engine of this process, subflows included, work with ``host``."""
    global _host
    _host = host
    for module in (control_listener, flow_engine, prefect.engine):
        module.get_intent = host.intent  # type: ignore[attr-defined]
    _insist_on_states()
    flow_engine.FlowRunEngine = NodeEngine  # type: ignore[misc]
    flow_engine.AsyncFlowRunEngine = AsyncNodeEngine  # type: ignore[misc]


def _insist_on_states() -> None:
    """Propose the run's states until the server answers, with short pauses."""
    propose, propose_async = propose_state_sync, propose_state
    once = _no_retries()

    def insisting(client: Any, state: Any, flow_run_id: UUID, force: bool = False) -> Any:
        wait = pauses() if flow_run_id == _run_id else iter(())
        while True:
            try:
                with once if flow_run_id == _run_id else nullcontext():
                    return propose(client, state, flow_run_id=flow_run_id, force=force)
            except httpx.HTTPError as error:
                if not unanswered(error) or (pause := next(wait, None)) is None:
                    raise
                time.sleep(pause)

    async def insisting_async(client: Any, state: Any, flow_run_id: UUID, force: bool = False) -> Any:
        wait = pauses() if flow_run_id == _run_id else iter(())
        while True:
            try:
                with once if flow_run_id == _run_id else nullcontext():
                    return await propose_async(client, state, flow_run_id=flow_run_id, force=force)
            except httpx.HTTPError as error:
                if not unanswered(error) or (pause := next(wait, None)) is None:
                    raise
                await asyncio.sleep(pause)

    flow_engine.propose_state_sync = insisting  # type: ignore[attr-defined]
    flow_engine.propose_state = insisting_async  # type: ignore[attr-defined]


def _no_retries() -> SettingsContext:
    """Settings under which a client makes each request once."""
    context = get_settings_context()
    # Not copy_with_update: it reads all of Prefect's settings anew, 60 ms of work in every child.
    client = context.settings.client.model_copy(update={"max_retries": 0})
    settings = context.settings.model_copy(update={"client": client})
    return SettingsContext(profile=context.profile, settings=settings)


def know_result_storage(block_id: UUID | None) -> None:
    """Answer the look-ups of the server's default result storage from memory."""

    async def known_async() -> UUID | None:
        return block_id

    results._read_server_default_result_storage_block_id = lambda: block_id
    results._aread_server_default_result_storage_block_id = known_async


def forward_logs(sink: Callable[[dict[str, Any]], None]) -> None:
    """Hand every record for Prefect's API to ``sink``, as ``LogCreate`` in JSON; keep it off the console."""

    def take(log: dict[str, Any]) -> None:
        log.pop("__payload_size__", None)
        sink(log)

    set_api_log_sink(take)
    for name in (None, *logging.root.manager.loggerDict):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, PrefectConsoleHandler):
                handler.addFilter(_not_for_the_api)


def _not_for_the_api(record: logging.LogRecord) -> bool:
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None:
        if any(isinstance(handler, APILogHandler) for handler in logger.handlers):
            return False
        logger = logger.parent if logger.propagate else None
    return True


def forward_events(sink: Callable[[dict[str, Any]], None]) -> None:
    """Hand every event this process emits (those of task runs are states) to ``sink``, as JSON.

    What an event is related to is asked until the server answers: else an outage would lose the event.
    """
    related: Any = events_worker.related_resources_from_run_context  # type: ignore[attr-defined]
    once = _no_retries()

    async def insisting(client: Any, exclude: set[str] | None = None) -> list[RelatedResource]:
        for pause in pauses():
            try:
                with once:
                    found: list[RelatedResource] = await related(client, exclude)
                    return found
            except (httpx.HTTPError, ObjectNotFound) as error:
                if not unanswered(error):
                    break
            await asyncio.sleep(pause)
        # Deleted meanwhile; without its flow run the server could not tell whose a task run is.
        return _related_run(exclude or set())

    events_worker.related_resources_from_run_context = insisting  # type: ignore[attr-defined]
    EventsWorker.set_client_override(ProcessPoolForwardingEventsClient, event_queue=_Queue(sink))


def _related_run(exclude: set[str]) -> list[RelatedResource]:
    flow, task = FlowRunContext.get(), TaskRunContext.get()
    run_id = flow.flow_run.id if flow and flow.flow_run else task.task_run.flow_run_id if task else None
    resource = f"prefect.flow-run.{run_id}"
    if run_id is None or resource in exclude:
        return []
    return [RelatedResource({"prefect.resource.id": resource, "prefect.resource.role": "flow-run"})]


class _Queue:
    """What Prefect's forwarding client puts events into; to other client classes it sends none."""

    def __init__(self, sink: Callable[[dict[str, Any]], None]) -> None:
        self._sink = sink

    def put(self, item: tuple[str, Event]) -> None:
        self._sink(item[1].model_dump(mode="json"))


def rehearse() -> None:
    """Build, without a thread or a socket, what the first run of a process would: models, schemas, caches."""
    states: tuple[State[Any], ...] = (Running(), Completed())
    for state in states:
        told = to_state_create(state).model_dump(mode="json", serialize_as_any=True)
        answer = {"state": told, "status": "ACCEPT", "details": {"type": "accept_details"}}
        OrchestrationResult.model_validate(answer)
    FlowRun.model_validate({"name": "rehearsal", "flow_id": str(UUID(int=0)), "state": told})

    SyncPrefectClient("http://127.0.0.1/api")

    def rehearsal(folder: str = "") -> None: ...

    flow = Flow(rehearsal)
    flow.validate_parameters({})
    get_call_parameters(flow.fn, (), {})
    with hydrated_context():
        FlowRunEngine(flow=flow, flow_run=FlowRun(name="rehearsal", flow_id=UUID(int=0), state=Running()))


def warm() -> None:
    """Open this process's sync client, which asks for the server's version; stays open until the process ends."""
    SyncClientContext().__enter__()
    run_coro_as_sync(_nothing())


async def _nothing() -> None:
    """Starts the loop that the engine runs coroutines on."""


def execute(flow: Flow[..., Any], run: FlowRun, books: bool = True) -> None:
    """Run the flow as this flow run, to its end, on this thread.

    ``books``: the node stores version and retry policy of the flow on the run.

    Raises:
        SystemExit: as Prefect's engine ends a process; code 0 when the run's state is settled.
        BaseException: what interrupted the engine.
    """
    global _run_id, _node_books
    _run_id, _node_books = run.id, books
    with prefect.engine.handle_engine_signals(run.id):
        logger: Any = flow_run_logger(flow_run=run)
        with RunMetrics(run, flow):
            result = flow_engine.run_flow(flow, flow_run=run, error_logger=logger)
            if flow.isasync and flow.isgenerator:
                asyncio.run(_exhaust(result))
            elif flow.isgenerator:
                for _ in result:  # type: ignore[union-attr]
                    pass
            elif flow.isasync:
                # On the main thread: a signal handler raises only there.
                asyncio.run(result)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Code:
    """Where a run's code lies once it was fetched, and how to load it there."""

    entrypoint: str
    folder: str
    environment: dict[str, str]
    sys_path: list[str]


def fetch_code(run: FlowRun) -> Code:
    """Storage and pull steps of the run's deployment, as Prefect's process worker does them.

    Raises:
        Exception: of the step that failed, or ``ValueError`` for a run without a deployment or entrypoint.
    """

    async def fetch() -> PreparedWorkspace:
        if run.deployment_id is None:
            raise ValueError("Flow run does not have an associated deployment")
        async with get_client() as client:
            deployment = await client.read_deployment(run.deployment_id)
            return await prepare_workspace(client, run, deployment, Path.cwd())

    found = asyncio.run(fetch())
    return Code(found.runtime_entrypoint, str(found.working_directory), found.environment, found.sys_path)


def run_hooks(flow: Flow[..., Any], run: FlowRun, kind: str) -> None:
    """Call the flow's hooks for a run whose process was killed before its engine could."""
    assert run.state is not None
    for hook in hooks_of(flow, kind):
        logger = flow_run_logger(flow_run=run, flow=flow)
        name = get_hook_name(hook)
        logger.info("Running hook %r in response to entering state %r", name, run.state.name)
        try:
            result = hook(flow, run, run.state)
            if asyncio.iscoroutine(result):
                asyncio.run(result)
        except Exception:
            logger.error("An error was encountered while running hook %r", name, exc_info=True)


def hooks_of(flow: Flow[..., Any], kind: str) -> list[Any]:
    """Hooks of a flow for ``crashed`` or ``cancelled``."""
    return list((flow.on_crashed_hooks if kind == "crashed" else flow.on_cancellation_hooks) or ())


async def _exhaust(generator: Any) -> None:
    async for _ in generator:
        pass


class _Suspension(FlowRunSuspensionRequest):
    """Asks the API only after the node has seen the run suspended."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__()
        self._run_id = run_id

    def get_state(self) -> State[Any] | None:
        if super().get_state() is None and _host.suspension_seen():
            state = get_client(sync_client=True).read_flow_run(self._run_id).state
            if state is not None and is_suspended_flow_run_state(state):
                self.mark_requested(state)
        return super().get_state()


class _NodeEngine:
    """What both engines share. ``_handed`` marks the run that the node handed over, not a subflow."""

    heartbeat_seconds = None  # the node watches the process and sends heartbeats itself
    flow_run: Any
    flow: Any
    _flow_run_suspension_request: FlowRunSuspensionRequest
    _fresh = True

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[misc]
        if self._handed:
            self._flow_run_suspension_request = _Suspension(self.flow_run.id)

    @property
    def _handed(self) -> bool:
        return self.flow_run is not None and self.flow_run.id == _run_id

    @contextmanager
    def setup_flow_run_suspension_request(self) -> Generator[FlowRunSuspensionRequest, None, None]:
        request: FlowRunSuspensionRequest = self._get_flow_run_suspension_request()  # type: ignore[attr-defined]
        with register_flow_run_suspension_request(self.flow_run.id, request):
            request.raise_if_requested()
            yield request

    def _as_started(self) -> FlowRun:
        """The run as the API would tell it now."""
        run, state = self.flow_run, self.flow_run.state
        update = {"run_count": run.run_count + 1, "start_time": run.start_time or state.timestamp}
        started: FlowRun = run.model_copy(update=update)
        return started

    def _policy_missing(self, state: State[Any]) -> bool:
        handed = self._handed and _node_books
        return handed and state.is_failed() and bool(self.flow_run.empirical_policy.retries)

    def _policy(self) -> dict[str, Any]:
        return {
            "flow_run_id": self.flow_run.id,
            "flow_version": self.flow.version,
            "empirical_policy": self.flow_run.empirical_policy,
        }

    def _cancels(self, state: State[Any]) -> bool:
        """Whether the run is Cancelling in Prefect already: its node heard it from there."""
        return self._handed and state.is_cancelling() and _host.intent() == "cancel"

    def _assume(self, state: State[Any]) -> None:
        self.flow_run.state, self.flow_run.state_name, self.flow_run.state_type = (
            state,
            state.name,
            state.type,
        )

    def _tell(self, state: State[Any]) -> None:
        if self._handed:
            _host.stated(state)


class NodeEngine(_NodeEngine, FlowRunEngine[P, R]):
    """Prefect's engine for sync flows, without the requests that need not precede user code."""

    @contextmanager
    def initialize_run(self) -> Generator[Any, None, None]:
        with SyncClientContext.get_or_create() as context:
            if self._handed and _node_books:
                _answer_once(context.client, "update_flow_run", lambda: None)
            with super().initialize_run():
                yield self

    @contextmanager
    def setup_run_context(self, client: Any = None) -> Generator[None, None, None]:
        client = client or self.client
        if self._handed and self._fresh:
            self._fresh = False
            _answer_once(client, "read_flow_run", self._as_started)
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
            while not _host.policy_stored():
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
            if self._handed and _node_books:
                _answer_once(context.client, "update_flow_run", lambda: None, coroutine=True)
            async with super().initialize_run():
                yield self

    @asynccontextmanager
    async def setup_run_context(self, client: Any = None) -> AsyncGenerator[None, None]:
        client = client or self.client
        if self._handed and self._fresh:
            self._fresh = False
            _answer_once(client, "read_flow_run", self._as_started, coroutine=True)
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
            while not _host.policy_stored():
                if time.monotonic() > deadline:
                    await self.client.update_flow_run(**self._policy())
                    break
                await asyncio.sleep(0.005)
        reached = await super().set_state(state, force)
        self._tell(reached)
        return reached


class StreamClosed(Exception):
    """The server does not take events on this websocket, or no longer."""


class EventStream:
    """A websocket on which the server takes events, without the client's own copies of what it sent."""

    def __init__(self) -> None:
        self._client: Any = get_events_client(reconnection_attempts=0)

    async def __aenter__(self) -> Self:
        try:
            await self._client.__aenter__()
        except Exception as error:
            # Of no narrower class where the server does not let the client in.
            await self._client.__aexit__(None, None, None)
            raise StreamClosed(str(error) or type(error).__name__) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.__aexit__(None, None, None)

    async def send(self, text: str) -> None:
        """Send one event, as the API's JSON; that it was received, or refused, is not said."""
        try:
            await self._client._websocket.send(text)
        except RETRYABLE_EXCEPTIONS as error:
            raise StreamClosed(str(error) or type(error).__name__) from error

    async def closed(self) -> None:
        """Wait until the connection is gone; a refused event ends it."""
        await self._client._websocket.wait_closed()


class NodeWorker:
    """Beside ``BaseWorker``: what a node needs to see of it, and what it leaves out."""

    backend_id: UUID | None
    is_worker_still_polling: Any
    _emit_worker_started_event: Any
    _last_polled_time: Any
    _limit: int | None
    _started_event: Any
    _work_pool: Any
    _work_pool_name: str
    _work_queues: set[str]

    @property
    def work_pool_name(self) -> str:
        return self._work_pool_name

    @property
    def queue_names(self) -> frozenset[str]:
        """Empty is all of them."""
        return frozenset(self._work_queues)

    @property
    def limit(self) -> int | None:
        return self._limit

    @property
    def worker_id(self) -> str | None:
        return str(self.backend_id) if self.backend_id else None

    @property
    def knows_its_pool(self) -> bool:
        return self._work_pool is not None

    def serve_health(self, stack: ExitStack) -> None:
        """Answer health checks until the stack closes."""
        interval = get_current_settings().worker.query_seconds
        stack.enter_context(
            _run_healthcheck_server(lambda: self.is_worker_still_polling(query_interval_seconds=interval))
        )

    def polled(self) -> None:
        """For health checks."""
        self._last_polled_time = now("UTC")

    async def say_started(self) -> None:
        self._started_event = await self._emit_worker_started_event()

    async def _setup_cancellation_observer(self) -> None:
        """The node listens to its pool itself, on one websocket for everything."""


def _answer_once(client: Any, method: str, answer: Callable[[], Any], coroutine: bool = False) -> None:
    """The client's next call of ``method`` gets ``answer()`` and sends nothing."""

    def answered(*_: Any, **__: Any) -> Any:
        delattr(client, method)
        return answer()

    async def answered_async(*args: Any, **kwargs: Any) -> Any:
        return answered(*args, **kwargs)

    setattr(client, method, answered_async if coroutine else answered)
