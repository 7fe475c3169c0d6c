"""Prefect, as the services need it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

from skald_bridge.domain.facts import Heard, Node, Progress, State, Subtask, Task
from skald_bridge.domain.ids import StateId, TaskId
from skald_bridge.domain.log_entries import LogEntry
from skald_bridge.domain.queue import Holding, QueuePage
from skald_bridge.domain.recordings import Artifact, Recording
from skald_bridge.domain.task_types import DeployedType
from skald_bridge.domain.why import Waiting


class Engine(Protocol):
    """Prefect.

    Every method raises ``Unavailable`` when the API does not answer and ``NotFound`` for an unknown id.
    """

    async def task(self, task: TaskId) -> Task: ...

    async def read(self, tasks: Sequence[TaskId]) -> dict[TaskId, Task]:
        """Those of the tasks that exist."""
        ...

    def is_unreadable(self, task: TaskId) -> bool:
        """Whether the engine has it and cannot show it: nothing is known of it, least of all that it is gone."""
        ...

    async def tasks(
        self, *, states: Sequence[str] = (), class_name: str | None = None, limit: int = 200, offset: int = 0
    ) -> list[Task]:
        """Newest first, by creation."""
        ...

    async def live_tasks(self) -> list[Task]:
        """Every task whose state is not terminal."""
        ...

    def changed_since(self, since: datetime | None) -> AsyncIterator[list[Task]]:
        """Live tasks and those that ended at or after ``since`` (``None``: all), in pages; some twice."""
        ...

    async def history(self, task: TaskId) -> list[State]:
        """All states of a task, oldest first; none for a task that is gone."""
        ...

    async def stored(self, states: Sequence[StateId]) -> set[StateId]:
        """Those of the states that Prefect has; a question each, quicker than ``read`` for one or two."""
        ...

    async def class_names(self) -> list[str]:
        """Task types that have a deployment, sorted."""
        ...

    async def version(self) -> str:
        """The server's."""
        ...

    async def subtasks(self, task: TaskId) -> list[Subtask]: ...

    async def progress(self, tasks: Sequence[TaskId]) -> dict[TaskId, Progress]: ...

    def artifacts(self, tasks: Sequence[TaskId]) -> AsyncIterator[list[Artifact]]:
        """What the tasks left behind, in pages, the newest of a kind first; some twice."""
        ...

    def recordings(self, tasks: Sequence[TaskId]) -> AsyncIterator[list[Recording]]:
        """Newest first, in pages; some twice."""
        ...

    async def nodes(self) -> list[Node]: ...

    async def node_log(self, task: TaskId) -> list[tuple[datetime, str]]:
        """What nodes said about a task, oldest first: refusals, lease, start, end."""
        ...

    def logs(self, task: TaskId, *, since: datetime | None = None) -> AsyncIterator[list[LogEntry]]:
        """What the task and its nodes said, oldest first, in pages; all, or that at or after ``since``."""
        ...

    async def last_logs(self, task: TaskId, count: int) -> list[LogEntry]:
        """The last ones of ``logs``, oldest first."""
        ...

    async def task_types(self, name: str | None = None) -> list[DeployedType]:
        """What is deployed, sorted by name; only the one of that name."""
        ...

    async def waiting(self, task: Task) -> Waiting:
        """What could hold a task back: its pool, queue and deployment, as they are now."""
        ...

    async def queue(
        self, *, pool: str | None = None, limit: int = 200, offset: int = 0, later: bool = False
    ) -> QueuePage:
        """Tasks that wait for a node, of the pool or of all, in the order in which nodes take them.

        ``later``: behind them also those that are to start at a later time, soonest first.
        """
        ...

    async def at_work(self) -> list[Holding]:
        """Tasks that a node or another worker has; the longest at work first, 2,000 at most."""
        ...

    def hints(self) -> AbstractAsyncContextManager[AsyncIterator[Heard]]:
        """Live state hints. The iterator ends when the connection is lost; hints may be missing."""
        ...

    async def create(
        self,
        class_name: str,
        attachments: Mapping[str, Any],
        *,
        task: TaskId | None = None,
        idempotency_key: str | None = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        job_variables: Mapping[str, Any] | None = None,
        labels: Mapping[str, Any] | None = None,
        priority: int = 0,
        held: bool = False,
        deployment: str | None = None,
        pool: str | None = None,
        only_if_served: bool = False,
    ) -> Task:
        """A flow run of a deployment of ``class_name``, scheduled for now, or ``held`` until its release.

        Of several deployments, one that an online node could take comes first; ``deployment`` and ``pool`` choose by
        name, and raise ``NotFound``. ``only_if_served`` raises ``Rejected`` where no node could ever take the task.

        ``task`` is the id that Skalds gave it: the task keeps it, and a repeat returns the same task as it is by
        now, ``as_asked`` or not.
        ``priority`` is 0…10, 10 is taken first.
        """
        ...

    async def release(self, task: TaskId) -> None:
        """Let a task that was created ``held`` start now."""
        ...

    async def fail(self, task: TaskId, reason: str, *, cancelled: bool = False) -> None:
        """End a task that no node has: Failed, or Cancelled."""
        ...

    async def cancel(self, task: TaskId, reason: str | None = None) -> None: ...

    async def pause(self, task: TaskId) -> None: ...

    async def resume(self, task: TaskId) -> None: ...

    async def retry(self, task: TaskId, *, after: float = 0) -> None:
        """A new attempt of a task that has ended, in so many seconds."""
        ...

    async def restart(
        self,
        task: TaskId,
        attachments: Mapping[str, Any],
        *,
        name: str | None = None,
        labels: Mapping[str, Any] | None = None,
        held: bool = False,
    ) -> None:
        """A new attempt of a task that has ended, with these attachments as a new revision.

        ``labels`` take the place of those of the same names. Raises ``InvalidInput``, ``Rejected``: nothing is
        changed.
        """
        ...

    async def update(
        self,
        task: TaskId,
        changes: Mapping[str, Any],
        *,
        timeout: float,
        replace: bool = False,
        running: bool = False,
    ) -> tuple[str, int, str | None]:
        """Send new attachments, merged into the newest or in their place.

        ``running``: it is at work as far as is known, and is told before Prefect is asked whether it is.

        Returns (``applied`` | ``rejected`` | ``stored``, revision, reason).
        ``stored``: the task has not started, and will begin with them; or it is paused, and goes on with them.
        """
        ...
