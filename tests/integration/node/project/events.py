"""Flows whose runs say what a server takes, and what it refuses."""

from __future__ import annotations

from prefect import flow, get_run_logger, task
from prefect.events import emit_event


@task
def step(number: int) -> int:
    return number


@flow
def three_steps(folder: str) -> None:
    for number in range(3):
        step(number)


@flow
def refused_events(folder: str) -> None:
    """``folder`` is where other flows of the project leave marks; this one leaves none."""
    step(0)
    related = [
        {"prefect.resource.id": f"thing.{number}", "prefect.resource.role": "thing"} for number in range(90)
    ]
    emit_event("test.refused", resource={"prefect.resource.id": "test.thing"}, related=related)
    step(1)
    emit_event("test.taken", resource={"prefect.resource.id": "test.thing"})
    step(2)


@flow
def refused_logs(folder: str) -> None:
    logger = get_run_logger()
    logger.info("before")
    # Larger than any database takes, and no larger than Prefect itself sends.
    logger.log(2**63, "of a level that no database takes")
    logger.info("after")


@flow
def one_event(folder: str) -> None:
    step(0)
    emit_event("test.one", resource={"prefect.resource.id": "test.thing"})
