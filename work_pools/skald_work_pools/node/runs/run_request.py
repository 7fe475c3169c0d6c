"""What a process is handed to run a flow run, and the retry policy that Prefect is told. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect.client.schemas.objects import FlowRunPolicy, State

from skald_work_pools.messages import Run
from skald_work_pools.node.forked.loading import Loaded
from skald_work_pools.node.processes.launch_plan import LaunchPlan


def run_request(
    flow_run: dict[str, Any],
    plan: LaunchPlan,
    loaded: Loaded | None,
    revision: int,
    devices: Mapping[str, str | None],
    result_storage: str | None,
) -> Run:
    """``flow_run``: as the API tells it. ``loaded``: of the run's code, where it was loaded before."""
    flow_name = {"PREFECT__FLOW_NAME": loaded.name} if loaded and loaded.name else {}
    return Run(
        flow_run=flow_run,
        entrypoint=plan.entrypoint,
        path=plan.codebase.root if plan.codebase else "",
        revision=revision,
        env={**devices, **flow_name},
        result_storage=result_storage,
        books=loaded is not None and not loaded.problem,
    )


def state_fields(state: State[Any]) -> dict[str, Any]:
    """The fields of a flow run that tell its state."""
    data = state.model_dump(mode="json")
    return {"state": data, "state_id": data["id"], "state_type": data["type"], "state_name": data["name"]}


def stored_policy(policy: FlowRunPolicy, loaded: Loaded | None) -> dict[str, Any] | None:
    """The run's policy with the flow's retries in it; ``None`` when it has no effect."""
    retries = policy.retries if policy.retries is not None else (loaded.retries if loaded else None)
    if not retries:
        return None
    delay = policy.retry_delay
    if delay is None and loaded is not None and isinstance(loaded.retry_delay, int | float):
        delay = int(loaded.retry_delay)
    made = policy.model_copy(update={"retries": retries, "retry_delay": delay})
    return made.model_dump(mode="json")
