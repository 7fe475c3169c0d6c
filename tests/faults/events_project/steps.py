"""Flows whose runs write down what they know of their task runs."""

from __future__ import annotations

import json
from pathlib import Path

from prefect import flow, task
from prefect.client.schemas.objects import State


@task
def step(number: int) -> int:
    if number == 3:
        raise ValueError("every fourth fails")
    return number


@flow
def five_steps(folder: str) -> None:
    """Writes ``folder``/RUN: id and state id of each task run, in order."""
    from prefect.runtime import flow_run

    states: list[State[int]] = [step(number, return_state=True) for number in range(5)]
    known = [{"task_run": str(state.state_details.task_run_id), "state": str(state.id)} for state in states]
    (Path(folder) / str(flow_run.id)).write_text(json.dumps(known))
