"""What Skalds asks for, done in Prefect: returns once it is so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from cachetools import FIFOCache

from skald_bridge.domain.causes import Reported
from skald_bridge.domain.commands import NewTask
from skald_bridge.domain.dependencies import DEPENDENCIES_LABEL, cycle, cycle_text, written
from skald_bridge.domain.documents import DESCRIPTION_LABEL, PERSISTENT_LABEL
from skald_bridge.domain.errors import InvalidInput, NotFound, Rejected, Unavailable
from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import CLOSED, LifecycleStatus, StateType
from skald_bridge.domain.records import TaskDocument
from skald_bridge.domain.unrun_tasks import bounded
from skald_bridge.domain.values import check_text, check_values
from skald_bridge.ports import Archive, Clock, Engine
from skald_bridge.services.dependencies import Dependents
from skald_bridge.services.mirror import Mirror
from skald_bridge.services.skalds_dispatch import SkaldsDispatch
from skald_bridge.wire.skalds import Submitted, new_task_of

UPDATE_SECONDS = 10.0
"""A running task answers within milliseconds, or does not take updates."""
_ATTEMPTS = 3
_REMEMBERED = 10_000


_OWN_ID = "For another task, give it an id of its own."


class AlreadyEnded(Rejected):
    """The id is that of a task that has ended, and that can begin again."""


class GoesOn(Rejected):
    """The id is that of a task that has not ended, and that was made of something else."""


class Updated(NamedTuple):
    """What became of new attachments: ``applied``, ``stored`` or ``rejected``."""

    outcome: str
    revision: int
    reason: str | None


class Commands:
    """Every method raises ``Unavailable`` while Prefect is away: nothing was done, and it may be said again."""

    def __init__(
        self,
        engine: Engine,
        mirror: Mirror,
        archive: Archive,
        dependents: Dependents,
        clock: Clock,
        *,
        skalds: SkaldsDispatch | None = None,
    ) -> None:
        """``skalds``: Skalds' own nodes, which take what no deployment of ours runs."""
        self._engine = engine
        self._mirror = mirror
        self._archive = archive
        self._dependents = dependents
        self._clock = clock
        self._skalds = skalds
        self._answered: FIFOCache[TaskId, int] = FIFOCache(_REMEMBERED)
        """Newest revision by task, as tasks answered: the mirror hears of it a little later."""
        self.outcomes: dict[tuple[str, str], int] = {}
        """Counts by command and outcome."""

    async def create(self, submitted: Submitted) -> TaskId:
        """Raises ``InvalidInput``, ``NotFound``, ``Rejected``: nothing was made."""
        new = new_task_of(submitted, self._clock.now())
        await self.start(new)
        return new.id

    async def start(self, new: NewTask) -> bool:
        """Whether it is new; a repeat changes nothing while the task has not ended.

        Raises as ``create``, also ``AlreadyEnded``, ``GoesOn``.
        """
        known = await self._archive.get(new.id)
        if known is not None and await self._is_lent(known, new):
            return False
        held = self._waits(new)
        made = await self._born_in_prefect(known, new)
        try:
            made = made or await self._engine.create(
                new.class_name,
                new.attachments,
                task=new.id,
                name=new.name or new.id,
                labels=new.labels(),
                priority=new.priority,
                held=held,
            )
        except NotFound:
            if self._skalds is None or not await self._skalds.offer(new):
                raise
            return True
        if made.state is not None and made.state.type.terminal:
            raise AlreadyEnded(
                f"id: task {new.id} has ended already: it is {made.state.name}",
                remedy=f"To run it once more, set its lifecycleStatus to Created. {_OWN_ID}",
            )
        if not made.as_asked:
            raise GoesOn(
                f"id: there is a task {new.id} already, with other attachments; it goes on with those",
                remedy=f"Update its attachments, or wait for its end. {_OWN_ID}",
            )
        await self._mirror.answered(made)
        return known is None or known.foreign

    async def restart(self, new: NewTask) -> None:
        """A new attempt of a task that has ended, with what is asked for now. Raises as ``create``."""
        unless_said = {PERSISTENT_LABEL: False, DESCRIPTION_LABEL: "", DEPENDENCIES_LABEL: written(())}
        labels, held = {**unless_said, **new.labels()}, self._waits(new)
        await self._engine.restart(new.id, new.attachments, name=new.name, labels=labels, held=held)
        with suppress(Unavailable):
            # No state tells of its attachments, and it may have gone on already.
            await self._mirror.look([new.id])

    async def look(self, task: TaskId) -> bool:
        """Ask Prefect for the task; whether there was a state of it that nobody had heard of."""
        before = await self._archive.get(task)
        await self._mirror.look([task])
        after = await self._archive.get(task)
        return before is None or (after is not None and after.sequence != before.sequence)

    async def tell_again(self, task: TaskId) -> None:
        """Whoever keeps the task's document is told once more how it is."""
        if (document := await self._archive.get(task)) is None:
            await self._mirror.look([task])
            return
        await self._mirror.put_again(document)

    async def refuse(self, new: NewTask, reason: str, *, cancelled: bool = False) -> str:
        """The task ends before it began, and says why wherever tasks are looked at: what is returned."""
        new, reason = bounded(new, reason)
        now, state = self._clock.now(), StateType.CANCELLED if cancelled else StateType.FAILED
        reports = [Reported(new, state, now, reason)]
        known = await self.known(new.id)
        if known is not None and known.lifecycle in CLOSED:
            reports.insert(0, Reported(new, StateType.SCHEDULED, now, "It was given again"))
        await self._mirror.report(reports)
        return reason

    async def _is_lent(self, known: TaskDocument, new: NewTask) -> bool:
        """Whether a Skalds node has it, just as it is asked for. Raises ``Rejected`` where it is another task."""
        if not known.foreign:
            if known.class_name != new.class_name:
                raise _other_class(known.class_name, new, goes_on=known.lifecycle not in CLOSED)
            return False
        if known.lifecycle in CLOSED:
            # Prefect may have a run of it from before it was refused.
            found = (await self._engine.read([new.id])).get(new.id)
            if found is not None and found.class_name != new.class_name:
                raise _other_class(found.class_name, new, goes_on=False)
            return False
        if (known.class_name, known.attachments) != (new.class_name, new.attachments):
            raise GoesOn(
                f"id: there is a task {new.id} already, of className {known.class_name}; it goes on as it is",
                remedy=f"Update its attachments, or wait for its end. {_OWN_ID}",
            )
        return True

    async def _born_in_prefect(self, known: TaskDocument | None, new: NewTask) -> Task | None:
        """The task, where its run was not made of its id."""
        if known is None or known.foreign or "flowRun" in known.extra:
            return None
        found = (await self._engine.read([new.id])).get(new.id)
        return found and replace(found, as_asked=found.attachments == new.attachments)

    def _waits(self, new: NewTask) -> bool:
        """Whether it waits for others. Raises ``InvalidInput`` for a cycle."""
        waits = tuple(new.dependencies)
        if waits and (loop := cycle(new.id, {**self._dependents.waiting(), new.id: waits})):
            raise InvalidInput(cycle_text(loop), remedy="Leave one of them out.")
        return bool(waits)

    async def cancel(self, task: TaskId) -> bool:
        """Whether there was something to cancel. Raises ``NotFound``."""
        if await self.is_foreign(task):
            return self._skalds is not None and await self._skalds.cancel(task)
        try:
            await self._engine.cancel(task)
        except Rejected:
            found = await self._engine.task(task)
            if found.state is not None and found.state.type.terminal:
                return False
            raise
        return True

    async def cancel_waiting(self, task: TaskId) -> bool:
        """Cancel a task that waits to be lent to a Skalds node."""
        return self._skalds is not None and self._skalds.waits(task) and await self._skalds.cancel(task)

    async def retry(self, task: TaskId) -> None:
        await self._engine.retry(task)

    async def update(self, task: TaskId, attachments: Mapping[str, Any]) -> Updated:
        """In place of those that the task has.

        Raises ``Unavailable`` also for a task that does not answer; ``Rejected`` for one that has ended.
        """
        check_values(attachments)
        document = await self.known(task)
        if document is not None and document.foreign:
            return await self._update_foreign(document, attachments)
        running = document is not None and document.lifecycle is LifecycleStatus.RUNNING
        updated = Updated(
            *await self._engine.update(
                task, attachments, timeout=UPDATE_SECONDS, replace=True, running=running
            )
        )
        if updated.outcome != "rejected":
            self._answered[task] = updated.revision
        if updated.outcome == "stored":
            # No state tells of it, and nobody else does.
            with suppress(Unavailable):
                await self._mirror.look([task])
        return updated

    def has(self, document: TaskDocument, attachments: Mapping[str, Any]) -> bool:
        """Whether the task has just these attachments, and none that were answered since it was heard of."""
        heard = document.revision >= self._answered.get(document.id, 0)
        return heard and document.attachments == attachments

    async def update_patiently(self, task: TaskId, attachments: Mapping[str, Any]) -> None:
        """For who cannot be asked to send it again: a task that does not answer is asked a few times.

        Raises:
            Rejected: the task did not take them.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            if attempt > 1:
                await self._engine.task(task)  # whether Prefect is away, or the task did not answer
            try:
                updated = await self.update(task, attachments)
            except Unavailable as error:
                if attempt == _ATTEMPTS:
                    raise Rejected(error.message, remedy=error.remedy) from error
                continue
            if updated.outcome == "rejected":
                raise Rejected(
                    f"attachments: {updated.reason}",
                    remedy="The task goes on with those that it has; send others.",
                )
            return

    async def _update_foreign(self, document: TaskDocument, wanted: Mapping[str, Any]) -> Updated:
        if self._skalds is None or not await self._skalds.update(document.id, dict(wanted)):
            raise Rejected(
                f"Task {document.id} is on no node: its attachments cannot be updated",
                remedy="Create a new task with them.",
            )
        return Updated("stored", 1, None)

    async def known(self, task: TaskId) -> TaskDocument | None:
        """The task as far as it was heard. Raises ``InvalidInput`` for what can be no id at all."""
        check_text(task, "id")
        memory = self._mirror.memory
        if task in memory and (document := memory[task].document) is not None:
            return document
        return await self._archive.get(task)

    async def is_foreign(self, task: TaskId) -> bool:
        document = await self.known(task)
        return document is not None and document.foreign

    def count(self, command: str, outcome: str) -> None:
        self.outcomes[command, outcome] = self.outcomes.get((command, outcome), 0) + 1


def _other_class(known: str, new: NewTask, *, goes_on: bool) -> Rejected:
    kind = GoesOn if goes_on else Rejected
    return kind(
        f"id: there is a task {new.id} already, of className {known}",
        remedy="Give the task an id of its own.",
    )


async def side_by_side(work: Sequence[Callable[[], Awaitable[None]]], *, most: int = 8) -> None:
    """Run coroutines, at most so many at once; the first error is raised when all have ended."""
    gate = asyncio.Semaphore(most)

    async def one(make: Callable[[], Awaitable[None]]) -> None:
        async with gate:
            await make()

    for failed in await asyncio.gather(*(one(make) for make in work), return_exceptions=True):
        if isinstance(failed, BaseException):
            raise failed


REFUSALS = (InvalidInput, NotFound, Rejected)
"""What is wrong with a command itself; saying it again would not help."""
