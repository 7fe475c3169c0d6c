"""The mirror's shell: load what is known, let the domain decide, write journal, pulse, archive in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cachetools import FIFOCache

from skald_bridge.domain.causes import Concluded, Gone, Reported, Seen, Stored, Told
from skald_bridge.domain.dead_letters import Kind
from skald_bridge.domain.effects import Append, Effect, EndPulse, Fetch, Put
from skald_bridge.domain.errors import is_away
from skald_bridge.domain.facts import Hint, State, StateHint, Task
from skald_bridge.domain.ids import StateId, TaskId
from skald_bridge.domain.mirror import Cause, Known, decide
from skald_bridge.domain.records import JournalRecord, TaskDocument
from skald_bridge.ports import Archive, Clock, Engine, Journal, Pulse
from skald_bridge.services.dead_letters import DeadLetters, isolated
from skald_bridge.services.task_cache import TaskCache

LOOK = 500
"""Tasks asked for at once: fewer than memory holds, and what is heard meanwhile waits no longer than they take."""

ANSWERS = 1000
"""Tasks that Prefect answered with, and whose state's event is awaited."""


@dataclass
class Outcome:
    """What one round decided, task by task."""

    by_task: dict[TaskId, list[Effect]] = field(default_factory=dict)

    @property
    def effects(self) -> list[Effect]:
        return [effect for effects in self.by_task.values() for effect in effects]

    @property
    def fetch(self) -> set[TaskId]:
        return {effect.task for effect in self.effects if isinstance(effect, Fetch)}

    @property
    def records(self) -> list[JournalRecord]:
        return [effect.record for effect in self.effects if isinstance(effect, Append)]

    @property
    def documents(self) -> list[TaskDocument]:
        """The newest of each task."""
        puts = [effect.document for effect in self.effects if isinstance(effect, Put)]
        return list({document.id: document for document in puts}.values())


class Mirror:
    """One writer: every method that changes anything holds the lock, so states stay in order.

    ``pulse`` hears of ends, where nobody else tells it. A task that cannot be decided on or stored is set aside,
    and the others go on.
    """

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        pulse: Pulse | None,
        archive: Archive,
        clock: Clock,
        *,
        dead_letters: DeadLetters | None = None,
        fetches: int = 8,
        written: Callable[[], None] = lambda: None,
    ) -> None:
        """``written`` is called after each write."""
        self._engine = engine
        self._journal = journal
        self._pulse = pulse
        self._archive = archive
        self._clock = clock
        self._dead_letters = dead_letters or DeadLetters(None, clock)
        self._lock = asyncio.Lock()
        self._fetches = asyncio.Semaphore(fetches)
        self._answers: FIFOCache[StateId, Task] = FIFOCache(ANSWERS)
        self.memory = TaskCache()
        self.journaled = 0
        """States written since the start."""
        self._written = written

    async def hear(self, hints: Sequence[Hint]) -> set[TaskId]:
        """Journal what the hints prove; returns the tasks that must be looked at."""
        async with self._lock:
            states = [hint.state.id for hint in hints if isinstance(hint, StateHint)]
            recorded = await self._journal.contains(states) if states else set()
            new = [hint for hint in hints if not (isinstance(hint, StateHint) and hint.state.id in recorded)]
            await self._load({hint.task for hint in new})
            outcome = Outcome()
            for hint in new:
                await self._decide(hint.task, hint, outcome)
                if isinstance(hint, StateHint) and (task := self._answers.pop(hint.state.id, None)):
                    await self._decide(task.id, Seen(task), outcome)
            await self._perform(outcome)
            tasks = {hint.task for hint in new if hint.task in self.memory}
            return outcome.fetch | {task for task in tasks if self.memory[task].held is not None}

    async def answered(self, task: Task) -> None:
        """Prefect has just answered with this task: that proves what was heard of it, or is about to be."""
        if task.state is None:
            return
        async with self._lock:
            held = self.memory[task.id].held if task.id in self.memory else None
            if held is not None and held.state.id == task.state.id:
                outcome = Outcome()
                await self._decide(task.id, Seen(task), outcome)
                await self._perform(outcome)
                return
            self._answers[task.state.id] = task

    async def prove(self, tasks: Iterable[TaskId]) -> None:
        """Ask Prefect for the states that were heard of these tasks, and for nothing else."""
        async with self._lock:
            known = {task: self.memory[task] for task in tasks if task in self.memory}
            held = {task: each.held.state.id for task, each in known.items() if each.held is not None}
            stored = await self._engine.stored(list(held.values()))
            outcome = Outcome()
            for task, state in held.items():
                if state in stored:
                    await self._decide(task, Stored(state), outcome)
            await self._perform(outcome)

    async def look(self, tasks: Iterable[TaskId]) -> int:
        """Ask Prefect for the tasks as they are now; returns how many states were journaled."""
        wanted = list(tasks)
        journaled = 0
        for start in range(0, len(wanted), LOOK):
            some = wanted[start : start + LOOK]
            async with self._lock:
                found = await self._engine.read(some)
                gone = [task for task in some if task not in found and not self._engine.is_unreadable(task)]
                journaled += await self._reconcile(list(found.values()), gone)
        return journaled

    async def reconcile(self, tasks: Sequence[Task], asked: int) -> int:
        """Make journal and archive agree with what the sweep saw; returns how many states were journaled.

        ``asked``: ``memory.round`` when the sweep asked; a task that changed since is left to the next sweep.
        """
        async with self._lock:
            return await self._reconcile(
                [task for task in tasks if self.memory.changed(task.id) <= asked], []
            )

    async def put_again(self, document: TaskDocument) -> None:
        """Have a document that is as it was told to everybody once more."""
        await self._archive.put([document])
        self._written()

    async def report(self, causes: Sequence[Reported]) -> None:
        """Write what is said of tasks that Prefect does not run."""
        async with self._lock:
            await self._load({cause.new.id for cause in causes})
            outcome = Outcome()
            for cause in causes:
                await self._decide(cause.new.id, cause, outcome)
            await self._perform(outcome)

    async def conclude(self, results: Mapping[TaskId, dict[str, Any] | None]) -> None:
        """Write what tasks that ended made, in short."""
        async with self._lock:
            await self._load(set(results))
            outcome = Outcome()
            for task, result in results.items():
                await self._decide(task, Concluded(result), outcome)
            await self._perform(outcome)

    async def _reconcile(self, tasks: Sequence[Task], gone: Sequence[TaskId]) -> int:
        await self._load({task.id for task in tasks} | set(gone))
        outcome = Outcome()
        for task in tasks:
            await self._decide(task.id, Seen(task), outcome)
        for lost in gone:
            await self._decide(lost, Gone(), outcome)
        await self._perform(outcome)
        wanted, journaled = outcome.fetch, len(outcome.records)
        told = [task for task in tasks if task.id in wanted]
        histories = await self._histories(told)
        outcome = Outcome()
        for task in told:
            if task.id in histories:
                await self._decide(task.id, Told(task, histories[task.id]), outcome)
        await self._perform(outcome)
        return journaled + len(outcome.records)

    async def _histories(self, tasks: Sequence[Task]) -> dict[TaskId, tuple[State, ...]]:
        async def ask(task: TaskId) -> tuple[TaskId, tuple[State, ...] | None]:
            try:
                async with self._fetches:
                    return task, tuple(await self._engine.history(task))
            except Exception as error:
                if is_away(error):
                    raise
                await self._set_aside(task, error)
                return task, None

        try:
            async with asyncio.TaskGroup() as group:
                asking = [group.create_task(ask(task.id)) for task in tasks]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        answers = dict(done.result() for done in asking)
        return {task: history for task, history in answers.items() if history is not None}

    async def _load(self, tasks: set[TaskId]) -> None:
        missing = [task for task in tasks if task not in self.memory]
        if missing:
            last = await self._journal.last(missing)
            documents = await self._archive.read(missing)
            for task in missing:
                self.memory.keep(task, Known.stored(last.get(task), documents.get(task)))

    async def _decide(self, task: TaskId, cause: Cause, outcome: Outcome) -> None:
        try:
            known = self.memory[task]
            effects = decide(known, cause)
            self.memory.keep(task, known.after(effects), changed=bool(effects))
        except Exception as error:
            await self._set_aside(task, error)
        else:
            outcome.by_task.setdefault(task, []).extend(effects)

    async def _perform(self, outcome: Outcome) -> None:
        """When a store is away, memory is no longer what is stored: it is loaded anew."""

        async def write(some: Sequence[TaskId]) -> None:
            await self._write(Outcome({task: outcome.by_task[task] for task in some}))

        if not outcome.by_task:
            return
        try:
            await isolated(list(outcome.by_task), write, self._set_aside)
        except BaseException:
            self.memory.forget()
            raise

    async def _write(self, outcome: Outcome) -> None:
        """Journal, pulse, archive."""
        if records := outcome.records:
            self.journaled += await self._journal.append(records)
        ends = [effect for effect in outcome.effects if isinstance(effect, EndPulse)]
        if ends and self._pulse is not None:
            await self._pulse.end(ends, self._clock.now())
        if documents := outcome.documents:
            await self._archive.put(documents)
        if records or documents:
            self._written()

    async def _set_aside(self, task: TaskId, error: Exception) -> None:
        """Told once: the sweep meets it again and again."""
        self.memory.drop(task)
        await self._dead_letters.put(Kind.TASK, task, error)
