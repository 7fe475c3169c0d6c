"""What several routes read: tasks with their vitals, Skalds with their heartbeats."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Request

from skald_bridge.api.backend import Backend
from skald_bridge.api.models import TaskPath
from skald_bridge.api.views import Skald, fresh_document, guest_skald, skalds_of
from skald_bridge.domain.errors import NotFound, Unavailable
from skald_bridge.domain.ids import NodeId, TaskId, is_run_id
from skald_bridge.domain.pulse import SILENT, Vitals
from skald_bridge.domain.records import TaskDocument
from skald_bridge.domain.skalds_nodes import SkaldsNode

PATIENCE = 2.0
"""Seconds for heartbeats: a list is worth more without them than not at all."""


def _backend(request: Request) -> Backend:
    backend: Backend = request.app.state.backend
    return backend


Given = Annotated[Backend, Depends(_backend)]


async def known_id(backend: Backend, text: str) -> TaskId:
    """The id of the task that is meant: of one born in Prefect also in upper case.

    Raises:
        NotFound: neither archive nor Prefect has one of that id, in upper case or not.
        Unavailable: the archive does not have it, and Prefect does not answer.
    """
    given, lower = TaskId(text), TaskId(text.lower())
    if given == lower or not is_run_id(lower):
        return given
    stored = await backend.archive.read([given, lower])
    if stored:
        return given if given in stored else lower
    return (await backend.engine.task(given)).id


async def _task(backend: Given, task_id: TaskPath) -> TaskId:
    return await known_id(backend, task_id)


GivenTask = Annotated[TaskId, Depends(_task)]


async def document(backend: Backend, task: TaskId) -> TaskDocument:
    """From the archive; a task made a moment ago from Prefect.

    Raises:
        NotFound: neither has it.
        Unavailable: the archive does not have it, and Prefect does not answer.
    """
    found = await backend.archive.get(task)
    if found is None:
        found = fresh_document(await backend.engine.task(task))
    if found is None:
        raise NotFound(f"No task {task}", remedy="GET /api/tasks/ lists them.")
    return found


async def vitals(backend: Backend, tasks: Sequence[TaskId]) -> dict[TaskId, Vitals]:
    """None while the pulse is away."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await backend.pulse.vitals(tasks, backend.clock.now())
    except (Unavailable, TimeoutError):
        return {}


async def vitals_of(backend: Backend, task: TaskId) -> Vitals:
    return (await vitals(backend, [task])).get(task, SILENT)


async def skalds(backend: Backend) -> dict[NodeId, Skald]:
    """Ours as the newest round of heartbeats has them, and Skalds' own as they say themselves."""
    beat, now = backend.bridge.heartbeats, backend.clock.now()
    heartbeats: dict[NodeId, int] = {}
    guests: list[SkaldsNode] = []
    with contextlib.suppress(Unavailable, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            heartbeats = await backend.pulse.nodes(now)
            guests = await backend.peers.nodes() if backend.peers is not None else []
    ours = {node.id for node in beat.nodes}
    guests = [guest for guest in guests if guest.id not in ours]
    documents = await backend.archive.read([task for guest in guests for task in guest.tasks])
    found = skalds_of(beat.nodes, beat.beats, beat.at, heartbeats, now)
    found |= {guest.id: guest_skald(guest, documents, heartbeats, now) for guest in guests}
    return dict(sorted(found.items()))


async def skald(backend: Backend, skald_id: str) -> Skald:
    """Raises ``NotFound``."""
    found = (await skalds(backend)).get(NodeId(skald_id))
    if found is None:
        raise NotFound(f"No Skald {skald_id!r}", remedy="GET /api/skalds/ lists them.")
    return found
