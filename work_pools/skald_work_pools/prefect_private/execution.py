"""One flow run in this process: its code fetched, what it needs built ahead, its flow run to the end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import prefect.engine
import prefect.flow_engine as flow_engine
from prefect._internal.metrics import RunMetrics
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import OrchestrationResult
from prefect.context import hydrated_context
from prefect.flow_engine import FlowRunEngine
from prefect.flows import Flow
from prefect.logging.loggers import flow_run_logger
from prefect.runner._workspace_resolver import PreparedWorkspace, prepare_workspace
from prefect.states import Completed, Running, to_state_create
from prefect.utilities.callables import get_call_parameters

from skald_work_pools.prefect_private.clients import warm_at_last
from skald_work_pools.prefect_private.host import handed
from skald_work_pools.retrying import insist


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


def execute(flow: Flow[..., Any], run: FlowRun, books: bool = True) -> None:
    """Run the flow as this flow run, to its end, on this thread.

    ``books``: the node stores version and retry policy of the flow on the run.

    Raises:
        SystemExit: as Prefect's engine ends a process; code 0 when the run's state is settled.
        BaseException: what interrupted the engine.
    """
    handed.run_id, handed.books = run.id, books
    warm_at_last()
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


async def _exhaust(generator: Any) -> None:
    async for _ in generator:
        pass


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
            deployment_id = run.deployment_id
            deployment = await insist(lambda: client.read_deployment(deployment_id), "deployment")
            return await prepare_workspace(client, run, deployment, Path.cwd())

    found = asyncio.run(fetch())
    return Code(found.runtime_entrypoint, str(found.working_directory), found.environment, found.sys_path)
