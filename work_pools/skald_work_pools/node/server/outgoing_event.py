"""An event as it is kept until the server has it: its text, and what its proof needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect.events import Event

_RUN, _TASK_RUN = "prefect.flow-run.", "prefect.task-run."


@dataclass(frozen=True, eq=False)
class OutgoingEvent:
    """``text`` is the API's JSON; ``run_id`` is empty for an event of the node itself.

    ``task_run_id`` is set where the event is the state of a task run, of the same id as the state.
    """

    id: str
    name: str
    run_id: str
    occurred: datetime
    text: str
    task_run_id: str = ""

    @property
    def perishable(self) -> bool:
        """Worth nothing once it is old: the next one says the same."""
        return self.name == "prefect.flow-run.heartbeat"


def outgoing(event: Event, run_id: str = "") -> OutgoingEvent:
    """The event with text that every database takes; ``run_id`` defaults to the run it concerns.

    Raises:
        ValueError: it says that it is a task run's state, and no server could record it as one.
    """
    try:
        text = event.model_dump_json()
    except ValueError:
        text = "\0"
    if "\0" in text or "\\u0000" in text:
        text = json.dumps(_clean(event.model_dump(mode="python")), default=str)
    return OutgoingEvent(
        id=str(event.id),
        name=event.event,
        run_id=run_id or _run_of(event),
        occurred=event.occurred,
        text=text,
        task_run_id=_task_run_of(event),
    )


def _run_of(event: Event) -> str:
    candidates = [event.resource, *(each for each in event.related if each.role == "flow-run")]
    for resource in candidates:
        if resource.id.startswith(_RUN):
            return resource.id.removeprefix(_RUN)
    return ""


def _task_run_of(event: Event) -> str:
    """The server's own condition for what it records; a misshapen one would take others' states with it."""
    if (
        not event.event.startswith("prefect.task-run")
        or event.resource.get("prefect.orchestration") != "client"
    ):
        return ""
    try:
        for part in ("validated_state", "task_run"):
            if not isinstance(event.payload[part], dict):
                raise TypeError(part)
        return str(UUID(event.resource.id.removeprefix(_TASK_RUN)))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"it is not the state of a task run: {error!r}") from error


def _clean(value: Any) -> Any:
    """The value without NUL characters and halves of surrogate pairs."""
    match value:
        case str():
            return value.replace("\0", "\\0").encode(errors="replace").decode()
        case dict():
            return {_clean(key): _clean(each) for key, each in value.items()}
        case list() | tuple():
            return [_clean(each) for each in value]
        case _:
            return value
