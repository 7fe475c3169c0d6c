"""The demonstration's plot: a pipeline runs and is changed on the way; another task is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from skald_bridge.domain.errors import SkaldError
from skald_bridge.domain.facts import Progress, Subtask, Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.ports import Engine

OUTPUT = "demo"
CHANGE = {"look": "sepia", "label": "changed on the way"}
_LOOK_EVERY = 0.5
_UPDATE_SECONDS = 20
_CANCEL_SECONDS = 30
_LEEWAY = timedelta(seconds=5)


@dataclass(frozen=True)
class View:
    """What there is to see at one moment; ``tasks`` oldest first."""

    pipeline: Task
    tasks: list[Task]
    progress: Mapping[TaskId, Progress]
    subtasks: list[Subtask]

    @property
    def begun(self) -> bool:
        """Whether the first part is worked on."""
        return any(task.class_name == "transcode" and task.start is not None for task in self.tasks)


class Watcher(Protocol):
    """Who looks on."""

    def look(self, view: View) -> None: ...

    def tell(self, line: str) -> None: ...


@dataclass
class Story:
    """One performance on ``engine``; ``play`` returns the last view."""

    engine: Engine
    watcher: Watcher
    attachments: Mapping[str, Any]
    deadline: float = 900.0
    since: datetime = field(default_factory=lambda: datetime.now(UTC) - _LEEWAY)

    async def play(self) -> View:
        """What an interrupted performance has left is cancelled first.

        Raises:
            SkaldError: the pipeline fails or does not end in time.
        """
        for left in await self.engine.live_tasks():
            await self.engine.cancel(left.id)
        pipeline = await self.engine.create("pipeline", self.attachments, name="the-pipeline")
        patient = await self.engine.create("complex_job", _PATIENT, name="to-be-cancelled")
        acts = [
            asyncio.create_task(self._change(pipeline.id)),
            asyncio.create_task(self._cancel(patient.id)),
        ]
        try:
            async with asyncio.timeout(self.deadline):
                view = await self._watch(pipeline.id)
                await asyncio.gather(*acts)
        except TimeoutError as error:
            raise SkaldError(
                f"The pipeline did not end within {self.deadline:g} s.",
                remedy="Look at the logs named above; a shorter input needs less time.",
            ) from error
        finally:
            for act in acts:
                act.cancel()
        view = await self._view(pipeline.id)
        self.watcher.look(view)
        return view

    async def _watch(self, pipeline: TaskId) -> View:
        while True:
            view = await self._view(pipeline)
            self.watcher.look(view)
            if (state := view.pipeline.state) is not None and state.type.terminal:
                if state.type is not StateType.COMPLETED:
                    raise SkaldError(
                        f"The pipeline ended as {state.name}: {state.message or 'no message'}",
                        remedy="Its log is in the Prefect UI; skald demo --keep leaves that running.",
                    )
                return view
            await asyncio.sleep(_LOOK_EVERY)

    async def _view(self, pipeline: TaskId) -> View:
        found = [task for task in await self.engine.tasks(limit=200) if task.created >= self.since]
        tasks = sorted(found, key=lambda task: task.created)
        progress = await self.engine.progress([task.id for task in tasks])
        subtasks = await self.engine.subtasks(pipeline)
        return View(await self.engine.task(pipeline), tasks, progress, subtasks)

    async def _change(self, pipeline: TaskId) -> None:
        while not (await self._view(pipeline)).begun:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_EVERY)
        answer, revision, reason = await self.engine.update(pipeline, CHANGE, timeout=_UPDATE_SECONDS)
        shown = ", ".join(f"{key}={value!r}" for key, value in CHANGE.items())
        why = f" ({reason})" if reason else ""
        self.watcher.tell(f"hot update {shown}: {answer}, revision {revision}{why}")
        if answer != "applied":
            raise SkaldError(f"The hot update was {answer}: {reason}")

    async def _cancel(self, patient: TaskId) -> None:
        await self._until(patient, StateType.RUNNING)
        await self.engine.cancel(patient)
        self.watcher.tell("cancel to-be-cancelled: asked")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CANCEL_SECONDS):
                ended = await self._until(patient, StateType.CANCELLED)
                self.watcher.tell(f"cancel to-be-cancelled: {ended.state.name if ended.state else 'ended'}")

    async def _until(self, task: TaskId, state: StateType) -> Task:
        while True:
            found = await self.engine.task(task)
            if found.state is not None and found.state.type is state:
                return found
            await asyncio.sleep(_LOOK_EVERY)


_PATIENT = {
    "jobId": "patience",
    "subTasks": [{"name": "Wait for somebody to cancel", "duration": 600, "failChance": 0}],
}
