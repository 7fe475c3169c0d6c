"""What an emitter says of events that it could not deliver."""

from __future__ import annotations

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.events import Event, Resource

from skald_work_pools.node.server import event_emitter
from skald_work_pools.node.server.event_api import EventApi
from skald_work_pools.node.server.event_emitter import EventEmitter
from skald_work_pools.node.server.event_outbox import EventOutbox


@pytest.fixture
def said() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def emitter(said: list[tuple[str, str]]) -> EventEmitter:
    """One whose server is away: nothing is sent."""
    api = EventApi(PrefectClient("http://127.0.0.1:9/api"))
    return EventEmitter(api, lambda run, message, _: said.append((run, message)))


def event(name: str = "mine") -> Event:
    return Event(event=name, resource=Resource({"prefect.resource.id": "thing"}))


async def test_what_is_left_when_the_node_stops_is_said_to_each_run(
    emitter: EventEmitter, said: list[tuple[str, str]]
) -> None:
    for run in ("a", "a", "b", ""):
        emitter.emit(event(), run)
    await emitter.flush(0.01)
    assert said == [
        ("a", "2 events were not sent before the node stopped: no answer from Prefect"),
        ("b", "1 events were not sent before the node stopped: no answer from Prefect"),
    ]


async def test_what_was_dropped_for_want_of_room_is_said_once(
    emitter: EventEmitter, said: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emitter, "_outbox", EventOutbox(kept=1))
    for _ in range(3):
        emitter.emit(event(), "a")
    await emitter.flush(0.01)
    assert said[0] == ("a", "2 events were dropped: the Prefect server did not take them in time")


async def test_a_state_of_a_task_run_that_no_server_could_record_is_said(
    emitter: EventEmitter, said: list[tuple[str, str]]
) -> None:
    resource = {"prefect.resource.id": "prefect.task-run.x", "prefect.orchestration": "client"}
    emitter.emit(Event(event="prefect.task-run.Running", resource=Resource(resource)), "a")
    assert said[0][0] == "a" and "'prefect.task-run.Running'" in said[0][1]
    await emitter.flush(event_emitter._IDLE)
    assert len(said) == 1, "nothing is left to be sent"
