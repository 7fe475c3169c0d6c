"""Updates that Prefect keeps already because their task was paused, and that the task then refuses or takes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prefect.events import Event, Resource

from skald_work_pools.messages import (
    KEPT,
    REVISION_LABEL,
    UPDATE_REQUESTED,
    Update,
    UpdateApplied,
    UpdateRejected,
)
from skald_work_pools.node.context import NodeContext
from skald_work_pools.node.reconcile.attachment_updates import AttachmentUpdates
from skald_work_pools.node.runs.run_supervisor import RunSupervisor


class DocumentIntake:
    """A run whose process is there, and what the node tells Prefect of it."""

    def __init__(self) -> None:
        self.prefect: dict[str, Any] = {}
        self.sent: list[Update] = []
        self.answers: list[Event] = []
        self.tasks: list[asyncio.Task[None]] = []
        api = SimpleNamespace(patch=self._patch, label=self._label)
        emitter = SimpleNamespace(emit=self.answers.append)
        context = SimpleNamespace(api=api, emitter=emitter, aside=self._aside, name="n1")
        self.run: Any = SimpleNamespace(
            id="r",
            run=SimpleNamespace(id="r", tags=[]),
            child=object(),
            proposed=None,
            revision=1,
            parameter="attachments",
            parameters={"attachments": {"fps": 1}},
            send=self._send,
        )
        running = {"r": cast(RunSupervisor, self.run)}
        self.updates = AttachmentUpdates(cast(NodeContext, context), running, "pool")

    def ask(self, fps: int, update: str, *, kept: bool = False) -> None:
        told = {"update_id": update, "changes": {"fps": fps}, **({KEPT: True} if kept else {})}
        resource = Resource({"prefect.resource.id": "prefect.flow-run.r"})
        self.updates.hear(Event(event=UPDATE_REQUESTED, resource=resource, payload=told))

    async def settled(self) -> None:
        await asyncio.gather(*self.tasks)

    async def _patch(self, _run: str, body: dict[str, Any]) -> None:
        self.prefect.update(body)

    async def _label(self, _run: str, labels: dict[str, Any]) -> None:
        self.prefect.update(labels)

    async def _send(self, update: Update) -> bool:
        self.sent.append(update)
        return True

    def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.create_task(work))


@pytest.mark.parametrize("late", [False, True], ids=["kept before the answer", "kept after it"])
async def test_what_the_task_refuses_is_taken_back_as_one_more_revision(late: bool) -> None:
    desk = DocumentIntake()
    desk.ask(2, "u", kept=not late)
    await desk.settled()
    desk.updates.answered(desk.run, UpdateRejected("u", 2, "too slow"))
    if late:
        desk.ask(2, "u", kept=True)
    await desk.settled()
    assert desk.prefect == {"parameters": {"attachments": {"fps": 1}}, REVISION_LABEL: 3}
    desk.ask(5, "next")
    await desk.settled()
    assert [(each.revision, each.attachments) for each in desk.sent] == [(2, {"fps": 2}), (4, {"fps": 5})]


async def test_what_the_task_takes_stays() -> None:
    desk = DocumentIntake()
    for kept in (False, True):
        desk.ask(2, "u", kept=kept)
    await desk.settled()
    desk.updates.answered(desk.run, UpdateApplied("u", 2, {"fps": 2}))
    await desk.settled()
    assert desk.prefect == {"parameters": {"attachments": {"fps": 2}}, REVISION_LABEL: 2}
    assert len(desk.sent) == len(desk.answers) == 1


async def test_a_refusal_of_what_nobody_keeps_stores_nothing() -> None:
    desk = DocumentIntake()
    desk.ask(2, "u")
    await desk.settled()
    desk.updates.answered(desk.run, UpdateRejected("u", 2, "too slow"))
    await desk.settled()
    assert desk.prefect == {}
