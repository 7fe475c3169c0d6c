"""An event's text, its run, and whether it is the state of a task run."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from prefect.events import Event, RelatedResource, Resource

from skald_work_pools.node.server.event_resources import related
from skald_work_pools.node.server.outgoing_event import outgoing

TASK_RUN = uuid4()


def made(name: str, resource: str, payload: dict[str, Any] | None = None, **labels: str) -> Event:
    to: list[RelatedResource] = [related("flow-run", "prefect.flow-run.parent")]
    labels = {key.replace("_", "."): value for key, value in labels.items()}
    return Event(
        event=name,
        resource=Resource({"prefect.resource.id": resource, **labels}),
        related=to,
        payload=payload or {},
    )


def state(**changes: Any) -> Event:
    payload = {"validated_state": {"type": "RUNNING"}, "task_run": {"task_key": "a"}, **changes}
    return made(
        "prefect.task-run.Running",
        f"prefect.task-run.{TASK_RUN}",
        payload,
        prefect_orchestration="client",
    )


def test_a_task_runs_state_is_known_as_one() -> None:
    event = state()
    kept = outgoing(event, "run")
    assert (kept.id, kept.task_run_id, kept.run_id) == (str(event.id), str(TASK_RUN), "run")
    assert json.loads(kept.text) == event.model_dump(mode="json")


def test_other_events_are_not() -> None:
    assert outgoing(made("mine", f"prefect.task-run.{TASK_RUN}")).task_run_id == ""
    by_the_server = made("prefect.task-run.Running", f"prefect.task-run.{TASK_RUN}")
    assert outgoing(by_the_server).task_run_id == ""


@pytest.mark.parametrize("changes", [{"validated_state": None}, {"task_run": "x"}])
def test_a_state_that_would_take_others_with_it_in_the_server_is_refused_here(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(ValueError, match="not the state of a task run"):
        outgoing(state(**changes))


def test_an_event_belongs_to_the_run_it_concerns() -> None:
    assert outgoing(made("skald.task.still", "prefect.flow-run.itself")).run_id == "itself"
    assert outgoing(made("mine", "my.thing")).run_id == "parent"
    node = Event(event="skald.node.announced", resource=Resource({"prefect.resource.id": "skald.node.a"}))
    assert outgoing(node).run_id == ""


def test_characters_that_no_database_takes_are_replaced() -> None:
    kept = outgoing(made("mine", "my.thing", {"a\0b": ["c\0", {"d": "\ud800"}], "number": 1}))
    payload = json.loads(kept.text)["payload"]
    assert payload == {"a\\0b": ["c\\0", {"d": "?"}], "number": 1}
    harmless = made("mine", "my.thing", {"text": "a\\u0000b"})
    assert json.loads(outgoing(harmless).text)["payload"] == {"text": "a\\u0000b"}
