"""What the services need from the outside, as protocols; the adapters fulfil them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from skald_bridge.domain.commands import NewTask, Received
from skald_bridge.domain.effects import EndPulse
from skald_bridge.domain.facts import Heard, Node, Progress, State, Subtask, Task
from skald_bridge.domain.ids import NodeId, StateId, TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus, StateType
from skald_bridge.domain.log_entries import LogEntry
from skald_bridge.domain.messages import Message
from skald_bridge.domain.pulse import NodeBeat, Vitals
from skald_bridge.domain.recordings import Artifact, Recording
from skald_bridge.domain.records import JournalRecord, TaskDocument
from skald_bridge.domain.skalds_nodes import SkaldsNode
from skald_bridge.domain.task_filter import EVERY, TaskFilter
from skald_bridge.domain.task_types import DeployedType
from skald_bridge.domain.why import Waiting


class Clock(Protocol):
    """Time, so that a test can own it."""

    def now(self) -> datetime: ...

    async def sleep(self, seconds: float) -> None: ...


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


class Journal(Protocol):
    """Append-only stream of state changes; a repeat of a record's id changes nothing."""

    async def append(self, records: Sequence[JournalRecord]) -> int:
        """How many were new."""
        ...

    async def last(self, tasks: Sequence[TaskId]) -> dict[TaskId, JournalRecord]:
        """The newest record of each task that has one."""
        ...

    async def contains(self, ids: Sequence[StateId]) -> set[StateId]:
        """Those of the ids that have a record."""
        ...

    async def read(
        self, *, after: int = 0, task: TaskId | None = None, limit: int = 1000
    ) -> list[tuple[int, JournalRecord]]:
        """Records with their positions, oldest first."""
        ...

    async def skim(
        self, states: Collection[StateType], *, after: int, limit: int
    ) -> list[tuple[int, JournalRecord]]:
        """As ``read``, but only records in one of ``states``, and the newest of all, so that a reader moves on."""
        ...

    async def tail(self, count: int) -> list[tuple[int, JournalRecord]]: ...


class Archive(Protocol):
    """Durable task documents; an older state never overwrites a newer one."""

    async def put(self, documents: Sequence[TaskDocument]) -> None: ...

    async def get(self, task: TaskId) -> TaskDocument | None: ...

    async def read(self, tasks: Sequence[TaskId]) -> dict[TaskId, TaskDocument]:
        """Those of the tasks that have a document."""
        ...

    async def open(self) -> list[TaskId]:
        """Tasks whose document is not in a terminal state."""
        ...

    async def find(
        self, wanted: TaskFilter = EVERY, *, limit: int = 100, offset: int = 0
    ) -> list[TaskDocument]:
        """Newest first."""
        ...

    async def count(self, wanted: TaskFilter = EVERY) -> int:
        """How many ``find`` would find without a limit."""
        ...

    async def statuses(self) -> dict[LifecycleStatus, int]:
        """How many tasks are in each status; a status that no task is in is missing."""
        ...

    async def class_names(self) -> list[str]:
        """Of all tasks, sorted; each once."""
        ...


class Recordings(Protocol):
    """What tasks recorded; a repeat of a recording's id changes nothing."""

    async def add(self, recordings: Sequence[Recording]) -> int:
        """How many were new."""
        ...


class Publisher(Protocol):
    """Kafka."""

    async def publish(self, messages: Sequence[Message]) -> list[tuple[Message, str]]:
        """Returns when all are stored for good, those of one key in this order; waits while Kafka is away.

        Returns those that Kafka refuses for what they are, and why. Others of their keys may be stored twice.

        Raises:
            Unavailable: Kafka will not take any, whatever time passes.
        """
        ...


class Subscription(Protocol):
    """Kafka's records for this bridge, at least once."""

    async def receive(self, most: int, wait: float) -> list[Received]:
        """The next records, in order per key; none when ``wait`` seconds brought nothing. Raises ``Unavailable``."""
        ...

    async def commit(self, records: Sequence[Received]) -> None:
        """These are done: they are not received again. Raises ``Unavailable``."""
        ...


@dataclass(frozen=True)
class Found:
    """A document as it is stored; ``ref`` is the store's own name for it.

    ``digest`` is another for every change of it. ``problem``: why it cannot be read; ``data`` are what can.
    """

    ref: Any
    data: Mapping[str, Any]
    digest: str = ""
    problem: str | None = None


class Documents(Protocol):
    """Task documents that others write. Methods raise ``Unavailable``."""

    async def created(self, limit: int) -> list[Found]:
        """Status Created and mode Passive, and no task of it is known here; the most urgent first."""
        ...

    async def again(self, limit: int) -> list[Found]:
        """Those of ended tasks that somebody set to Created again."""
        ...

    async def assigned(self, executors: Sequence[NodeId], limit: int) -> list[Found]:
        """Status Assigning, meant for one of these executors, and no task of it is known here."""
        ...

    async def get(self, task: TaskId) -> Found | None: ...

    async def assign(self, new: NewTask, node: NodeId, now: datetime) -> None:
        """Status Assigning and this executor; the document is made where there is none."""
        ...

    async def want(self, task: TaskId, attachments: Mapping[str, Any]) -> None:
        """Write the attachments that the task is to have."""
        ...

    async def refuse(self, ref: Any, reason: str, now: datetime) -> None:
        """Mark as Failed a document that no task was made of.

        Raises:
            InvalidInput: the store does not take that, whatever time passes.
        """
        ...

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Yields whenever a document may have become Created or Assigning; ends with the connection.

        Raises:
            Unavailable: the store does not tell of changes, or does not answer.
        """
        ...


class Peers(Protocol):
    """Skalds nodes and ours, as they announce themselves. Methods raise ``Unavailable``."""

    async def nodes(self) -> list[SkaldsNode]: ...

    async def forget(self, task: TaskId) -> None:
        """The last heartbeat of an earlier attempt is none of the next one's."""
        ...


class Positions(Protocol):
    """How far each relay has come in what is stored here; 0 before its first delivery."""

    async def load(self, name: str) -> int: ...

    async def save(self, name: str, position: int) -> None: ...


class Cursor(Protocol):
    """How far the sweep has come; written after journal, pulse and archive."""

    async def load(self) -> datetime | None:
        """The newest end of a task, by the server's clock, that a complete sweep has seen."""
        ...

    async def save(self, at: datetime) -> None: ...


class Pulse(Protocol):
    """Heartbeats as Skalds reads them: counters modulo 200, then 200 finished, -1 failed, -2 cancelled.

    A beat lives a period and 5 seconds, all else an hour. Methods raise ``Unavailable``.
    """

    async def beat(self, nodes: Sequence[NodeBeat], tasks: Sequence[TaskId], now: datetime) -> str | None:
        """One period's beats of what is alive at ``now``; a task that ended then or later keeps its end.

        Returns what the store refused of it, and why: a key of a type that Skalds does not write, say.
        """
        ...

    async def end(self, ends: Sequence[EndPulse], now: datetime) -> None:
        """The last heartbeats of tasks."""
        ...

    async def note_error(self, task: TaskId, message: str, now: datetime) -> None:
        """An error that did not end the task, for people to see."""
        ...

    async def vitals(self, tasks: Sequence[TaskId], now: datetime) -> dict[TaskId, Vitals]:
        """The heartbeat, what ended it, and errors that did not, by task; what has expired is missing."""
        ...

    async def nodes(self, now: datetime) -> dict[NodeId, int]:
        """Heartbeats of the nodes that are alive."""
        ...


class Cluster(Protocol):
    """One namespace of a Kubernetes cluster; objects are its API's JSON.

    Methods block, and raise ``Denied`` and ``Unavailable``.
    """

    namespace: str

    def get(self, kind: str, name: str) -> dict[str, Any] | None: ...

    def apply(
        self, manifest: dict[str, Any], *, dry_run: bool = False, force: bool = False
    ) -> dict[str, Any]:
        """Server-side apply; the object as it then is, or would be. ``force`` takes over others' fields.

        Raises:
            InvalidInput: the cluster does not take it.
            Rejected: fields belong to somebody else, or cannot be changed.
        """
        ...

    def list(self, kind: str, selector: str = "", fields: str = "") -> list[dict[str, Any]]:
        """Those whose labels fit ``selector``, and whose fields fit ``fields``, as far as the kind has such."""
        ...

    def delete(self, kind: str, name: str) -> bool:
        """Ask for its end, and for that of all that depends on it, which takes time; whether it was there."""
        ...

    def logs(
        self, pod: str, *, follow: bool = False, tail: int | None = None, previous: bool = False
    ) -> Iterator[str]:
        """Lines without their ends. Raises ``NotFound``, and ``InvalidInput`` for a pod that has none yet."""
        ...
