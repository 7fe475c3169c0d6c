"""The intake over documents and a Prefect in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from skald_bridge.adapters.clock import SystemClock
from skald_bridge.adapters.memory_pulse import MemoryPulse
from skald_bridge.domain.commands import Controller
from skald_bridge.domain.errors import InvalidInput, NotFound, Rejected, Unavailable
from skald_bridge.domain.facts import State, Task
from skald_bridge.domain.ids import NodeId, StateId, TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.records import TaskDocument
from skald_bridge.ports import Found
from skald_bridge.services.commands import Commands
from skald_bridge.services.dependencies import Dependents
from skald_bridge.services.document_intake import DocumentIntake
from skald_bridge.services.mirror import Mirror
from skald_bridge.wire.skalds import document_json
from tests.services.memory_stores import MemoryArchive, MemoryJournal

CLOCK = SystemClock()


class MemoryEngine:
    """As much of Prefect as commands need; every flow takes any attachments but ``{"bad": …}``."""

    def __init__(self) -> None:
        self.tasks: dict[TaskId, Task] = {}
        self.states: dict[TaskId, list[State]] = {}
        self.types = {"Probe", "Other"}
        self.told: list[str] = []
        self.away = False

    async def create(
        self, class_name: str, attachments: Mapping[str, Any], *, task: TaskId, **said: Any
    ) -> Task:
        self._answer("create", class_name, attachments)
        if (there := self.tasks.get(task)) is not None:
            return replace(there, as_asked=there.attachments == attachments)
        made = Task(task, said["name"], class_name, None, CLOCK.now(), dict(attachments), run=f"run-{task}")
        self.tasks[task] = replace(made, labels=dict(said["labels"]))
        return self.move(task, StateType.SCHEDULED)

    async def restart(self, task: TaskId, attachments: Mapping[str, Any], **said: Any) -> None:
        there = self.tasks[task]
        self._answer("restart", there.class_name, attachments)
        if there.state is None or not there.state.type.terminal:
            raise Rejected("not ended")
        labels = {**there.labels, **said["labels"]}
        revised = there.revision + 1
        self.tasks[task] = replace(there, attachments=dict(attachments), revision=revised, labels=labels)
        self.move(task, StateType.SCHEDULED)

    async def read(self, tasks: Sequence[TaskId]) -> dict[TaskId, Task]:
        return {task: self.tasks[task] for task in tasks if task in self.tasks}

    async def history(self, task: TaskId) -> list[State]:
        return list(self.states[task])

    def move(self, task: TaskId, type: StateType) -> Task:
        states = self.states.setdefault(task, [])
        id_ = StateId(f"{task}-{len(states)}")
        states.append(State(id_, type, type.value.capitalize(), CLOCK.now()))
        self.tasks[task] = replace(self.tasks[task], state=states[-1])
        return self.tasks[task]

    def _answer(self, command: str, class_name: str, attachments: Mapping[str, Any]) -> None:
        if self.away:
            raise Unavailable("Prefect is away")
        self.told.append(command)
        if class_name not in self.types:
            raise NotFound(f"className: no task type {class_name!r}")
        if "bad" in attachments:
            raise InvalidInput("attachments.bad: it is bad")


class MemoryDocuments:
    """Documents by the store's names for them; each write of one is a new version."""

    def __init__(self) -> None:
        self.rows: dict[Any, dict[str, Any]] = {}
        self.problems: dict[Any, str] = {}
        self.stubborn: set[Any] = set()
        self.refused: list[Any] = []

    def insert(self, ref: Any, **fields: Any) -> None:
        self.rows[ref] = {
            "id": "t", "className": "Probe", "mode": "Passive", "lifecycleStatus": "Created", **fields
        }  # fmt: skip

    def of(self, task: str) -> dict[str, Any]:
        return next(row for row in self.rows.values() if row.get("id") == task)

    async def created(self, limit: int) -> list[Found]:
        return self._found(lambda row: row.get("lifecycleStatus") == "Created" and "sequence" not in row)

    async def again(self, limit: int) -> list[Found]:
        return self._found(
            lambda row: row.get("lifecycleStatus") == "Created" and isinstance(row.get("ended"), str)
        )

    async def assigned(self, executors: Sequence[NodeId], limit: int) -> list[Found]:
        return []

    async def get(self, task: TaskId) -> Found | None:
        return next(iter(self._found(lambda row: row.get("id") == task)), None)

    async def refuse(self, ref: Any, reason: str, now: datetime) -> None:
        self.refused.append(ref)
        if ref in self.stubborn:
            raise InvalidInput("the store does not take it")
        self.rows[ref] |= {"lifecycleStatus": "Failed", "exception": reason}

    def _found(self, wanted: Any) -> list[Found]:
        return [
            Found(ref, dict(row), f"{ref!r} {row!r}", self.problems.get(ref))
            for ref, row in self.rows.items()
            if wanted(row)
        ]


class Shop:
    """The intake with all that it works with. ``relay`` carries the archive's documents to the store's."""

    def __init__(self) -> None:
        self.engine, self.documents = MemoryEngine(), MemoryDocuments()
        self.archive, self.journal, self.pulse = MemoryArchive(), MemoryJournal(), MemoryPulse()
        self.waiting: dict[TaskId, TaskDocument] = {}
        self.notes: list[tuple[TaskId, str]] = []
        self.aside: list[tuple[str, str, Exception]] = []
        put = self.archive.put

        async def kept(documents: Sequence[TaskDocument]) -> None:
            await put(documents)
            self.waiting |= {each.id: each for each in documents}

        self.archive.put = kept  # type: ignore[method-assign]
        self.reopen()

    def reopen(self) -> None:
        """The bridge is another process by now."""
        self.mirror = Mirror(self.engine, self.journal, self.pulse, self.archive, CLOCK)  # type: ignore[arg-type]
        dependents = Dependents(self.engine, self.archive, self.mirror.memory)  # type: ignore[arg-type]
        self.commands = Commands(self.engine, self.mirror, self.archive, dependents, CLOCK)  # type: ignore[arg-type]
        self.document_intake = DocumentIntake(
            self.documents,  # type: ignore[arg-type]
            self.commands,
            CLOCK,
            controller=Controller.OURS,
            nodes=list,
            owed=self._owed,
            note=self._note,
            set_aside=lambda *what: self.aside.append(what),
        )

    async def step(self) -> None:
        await self.document_intake.step()
        await self.sweep()

    async def sweep(self) -> None:
        await self.mirror.look(list(self.engine.tasks))

    async def end(self, task: str = "t", type: StateType = StateType.COMPLETED) -> None:
        """It runs and ends; everybody hears of it."""
        self.engine.move(TaskId(task), StateType.RUNNING)
        self.engine.move(TaskId(task), type)
        await self.sweep()
        self.relay()

    def relay(self) -> None:
        for document in self.waiting.values():
            fields = document_json(document)
            fields |= {"version": document.sequence, "appliedAttachments": fields["attachments"]}
            for row in self.documents.rows.values():
                if row.get("id") == document.id:
                    wanted = row.get("attachments", fields["attachments"])
                    row |= fields | {"attachments": wanted}
        self.waiting.clear()

    async def _owed(self, task: TaskId) -> bool:
        return task in self.waiting

    async def _note(self, task: TaskId, message: str) -> None:
        self.notes.append((task, message))


def commands_over() -> tuple[Commands, MemoryEngine]:
    shop = Shop()
    return shop.commands, shop.engine
