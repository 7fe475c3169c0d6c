"""Hot updates of tasks that run on a node."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.events import Event, RelatedResource, Resource
from prefect.events.clients import PrefectEventsClient, PrefectEventSubscriber
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter

from skald_work_pools import messages
from tests.integration.node.harness import Bench, Node, appears
from tests.services.poll import until

pytestmark = pytest.mark.server


@pytest.fixture
def adjustable(bench: Bench, node: Node, marks: Path) -> Iterator[tuple[str, Path]]:
    parameters = {"attachments": {"folder": str(marks), "speed": 2}}
    run = bench.run(bench.deploy("adjustable"), parameters=parameters)
    assert appears(marks / "speed") == "2"
    yield run, marks
    if bench.read(run)["state"]["type"] == "RUNNING":
        bench.propose(run, type="CANCELLING", name="Cancelling")
        bench.reaches(run, "Cancelled")


async def ask(bench: Bench, run: str, *changes: dict[str, Any], update_id: str = "") -> list[Event]:
    """Send the changes one after another, each once it was answered; the answers."""
    pool = bench.api("GET", f"/work_pools/{bench.pool}")["id"]
    resource = Resource({"prefect.resource.id": f"prefect.flow-run.{run}"})
    related = [
        RelatedResource({"prefect.resource.id": f"prefect.work-pool.{pool}", "prefect.resource.role": "p"})
    ]
    wanted = EventFilter(
        event=EventNameFilter(name=[messages.UPDATE_APPLIED, messages.UPDATE_REJECTED]),
        resource=EventResourceFilter(id=[resource.id]),
    )
    answers: list[Event] = []
    url = bench.server.url
    async with (
        asyncio.timeout(60),
        PrefectEventSubscriber(url, wanted) as incoming,
        PrefectEventsClient(url, checkpoint_every=1) as outgoing,
    ):
        for change in changes:
            payload = {"update_id": update_id or uuid4().hex, "changes": change}

            async def repeat(payload: dict[str, Any] = payload) -> None:
                while True:
                    event = Event(
                        event=messages.UPDATE_REQUESTED, resource=resource, related=related, payload=payload
                    )
                    await outgoing.emit(event)
                    await asyncio.sleep(1)

            repeating = asyncio.create_task(repeat())
            async for event in incoming:
                if event.payload["update_id"] == payload["update_id"]:
                    answers.append(event)
                    break
            repeating.cancel()
    return answers


async def test_an_update_reaches_user_code_and_is_kept(
    bench: Bench, node: Node, adjustable: tuple[str, Path]
) -> None:
    run, marks = adjustable
    first, second = await ask(bench, run, {"speed": 3}, {"speed": 4})
    assert [first.payload["revision"], second.payload["revision"]] == [2, 3]
    assert second.payload["attachments"]["speed"] == 4 and second.payload["node"] == node.name
    until(lambda: (marks / "speed").read_text() == "4", 20, "the task's speed is 4")
    until(lambda: bench.read(run)["labels"].get(messages.REVISION_LABEL) == 3, 20, "the revision's label")
    assert bench.read(run)["parameters"]["attachments"]["speed"] == 4


async def test_a_bad_update_is_refused_and_leaves_no_trace(
    bench: Bench, adjustable: tuple[str, Path]
) -> None:
    run, _ = adjustable
    bad, good = await ask(bench, run, {"speed": "fast"}, {"speed": 5})
    assert bad.event == messages.UPDATE_REJECTED
    assert "speed: Input should be a valid integer" in bad.payload["reason"]
    assert good.event == messages.UPDATE_APPLIED and good.payload["attachments"]["speed"] == 5


async def test_a_repeated_update_is_answered_from_memory(bench: Bench, adjustable: tuple[str, Path]) -> None:
    run, _ = adjustable
    again = uuid4().hex
    (first,) = await ask(bench, run, {"speed": 6}, update_id=again)
    (second,) = await ask(bench, run, {"speed": 6}, update_id=again)
    assert first.payload["revision"] == second.payload["revision"] == 2


async def test_an_update_can_end_the_task(bench: Bench, adjustable: tuple[str, Path]) -> None:
    run, _ = adjustable
    await ask(bench, run, {"speed": 10})
    bench.reaches(run, "Completed")
