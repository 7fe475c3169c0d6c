"""Documents that others write into MongoDB become tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from cachetools import FIFOCache

from skald_bridge.domain.commands import Controller, NewTask
from skald_bridge.domain.errors import InvalidInput, NotFound, Unavailable
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus
from skald_bridge.ports import Archive, Clock, Documents, Found
from skald_bridge.services.commands import REFUSALS, Commands, side_by_side
from skald_bridge.wire.skalds import new_task_of, read_submitted

BATCH = 200
BLIND_SECONDS = 0.5
"""Between looks where the store tells of no changes."""
TOLD_SECONDS = 5.0
REMEMBERED = 20_000
_TAKEN = frozenset({LifecycleStatus.CREATED, LifecycleStatus.ASSIGNING})
_log = logging.getLogger("skald_bridge.documents")


class Desk:
    """Takes documents: all that are Created, or, under another controller, those it assigned to our nodes."""

    def __init__(
        self,
        documents: Documents,
        commands: Commands,
        archive: Archive,
        clock: Clock,
        *,
        controller: Controller,
        nodes: Callable[[], Sequence[NodeId]],
    ) -> None:
        """``nodes``: ours, as far as they are known."""
        self._documents = documents
        self._commands = commands
        self._archive = archive
        self._clock = clock
        self._controller = controller
        self._nodes = nodes
        self._taken: FIFOCache[TaskId, Any] = FIFOCache(REMEMBERED)
        """With the version of the document that was taken: its task's next state has another."""
        self.is_told = False
        """Whether a change wakes us."""

    async def step(self) -> float:
        if self._controller is Controller.OURS:
            found = await self._documents.created(BATCH)
        else:
            found = await self._documents.assigned(self._nodes(), BATCH)
        fresh = [each for each in found if self._is_news(each)]
        await side_by_side([partial(self._take, each) for each in fresh])
        again = [each for each in await self._documents.again(BATCH) if self._is_news(each)]
        await side_by_side([partial(self._again, each) for each in again])
        if len(fresh) == BATCH:
            return 0.0
        return TOLD_SECONDS if self.is_told else BLIND_SECONDS

    async def assigned(self, task: TaskId) -> bool:
        """An event says that the document is to be run. Raises ``NotFound``, ``InvalidInput``."""
        found = await self._documents.get(task)
        if found is None:
            raise NotFound(f"taskIds: there is no document of task {task}", remedy="Insert it first.")
        new = self._read(found)
        ours = new.executor in self._nodes()
        if found.data.get("lifecycleStatus") not in _TAKEN or "version" in found.data:
            return False
        if self._controller is Controller.UPSTREAM and not ours:
            return False
        await self._take(found)
        return True

    async def take_again(self, task: str) -> None:
        """A document that could not be handled. Raises ``NotFound``, ``Unavailable``."""
        found = await self._documents.get(TaskId(task))
        if found is None:
            raise NotFound(f"There is no document of task {task}", remedy="Insert it again.")
        await self._take(found)

    async def cancelled(self, task: TaskId) -> bool:
        """End a document that no task was made of yet; whether there is one."""
        found = await self._documents.get(task)
        if found is None:
            return False
        if "version" not in found.data and found.data.get("lifecycleStatus") in (*_TAKEN, "Cancelled"):
            await self._commands.refuse(self._read(found), "cancelled before it was taken", cancelled=True)
            self._remember(found)
        return True

    async def _take(self, found: Found) -> None:
        """Raises ``Unavailable`` only; whatever else is wrong is told in the document."""
        try:
            new = self._read(found)
        except InvalidInput as error:
            await self._refuse(found, error.message)
            return
        try:
            await self._commands.start(new)
        except REFUSALS as error:
            self._commands.count("create", "rejected")
            _log.warning("document %s: %s", new.id, error.message)
            await self._commands.refuse(new, error.message)
        else:
            self._commands.count("create", "done")
        self._remember(found)

    async def _again(self, found: Found) -> None:
        """A task that has ended begins again, or its document says again how it ended."""
        task = _id(found)
        try:
            await self._commands.retry(task)
        except NotFound:
            await self._take(found)
        except REFUSALS as error:
            _log.info("task %s is not tried again: %s", task, error.message)
            if document := await self._archive.get(task):
                await self._archive.put([document])
        else:
            self._remember(found)

    async def _refuse(self, found: Found, reason: str) -> None:
        """One that cannot be read: as much of it as can be is told like any other task."""
        self._commands.count("create", "rejected")
        _log.warning("document %s: %s", found.ref, reason)
        if (named := _named(found.data, self._clock)) is not None:
            await self._commands.refuse(named, reason)
            self._remember(found)
        await self._documents.refuse(found.ref, reason, self._clock.now())

    def _read(self, found: Found) -> NewTask:
        return new_task_of(read_submitted(found.data), self._clock.now())

    def _is_news(self, found: Found) -> bool:
        task = _id(found)
        return task not in self._taken or self._taken[task] != found.data.get("version")

    def _remember(self, found: Found) -> None:
        self._taken[_id(found)] = found.data.get("version")


class Bell:
    """Wakes the desk when the store tells of a change; where it does not, the desk looks often."""

    PATIENCE = 60.0

    def __init__(self, documents: Documents, desk: Desk, ring: Callable[[], None]) -> None:
        self._documents = documents
        self._desk = desk
        self._ring = ring

    async def step(self) -> float:
        try:
            async with self._documents.changes() as changes:
                self._desk.is_told = True
                self._ring()
                async for _ in changes:
                    self._ring()
        except Unavailable as error:
            _log.info("looking for documents twice a second: %s", error.message)
            return self.PATIENCE
        finally:
            self._desk.is_told = False
        return 0.0


def _id(found: Found) -> TaskId:
    return TaskId(str(found.data.get("id")))


def _named(data: Mapping[str, Any], clock: Clock) -> NewTask | None:
    id_, class_name = data.get("id"), data.get("className")
    if not isinstance(id_, str) or not id_.strip():
        return None
    return NewTask(TaskId(id_), str(class_name or ""), "MongoDB", clock.now())
