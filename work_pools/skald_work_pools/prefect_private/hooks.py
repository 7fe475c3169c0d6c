"""A flow's hooks for an end that its own engine could not see."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect._internal.engine import get_hook_name
from prefect.client.schemas.objects import FlowRun
from prefect.flows import Flow
from prefect.logging.loggers import flow_run_logger


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
