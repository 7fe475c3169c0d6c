"""What the mirror remembers of tasks between two writes; bounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from skald_bridge.domain.dependencies import HELD
from skald_bridge.domain.documents import BORN_IN_PREFECT
from skald_bridge.domain.facts import StillHint
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.mirror import Known
from skald_bridge.domain.pulse import RunningTask

_BEATING = frozenset({StateType.RUNNING, StateType.CANCELLING})
_WAITING = frozenset({StateType.SCHEDULED, StateType.PENDING})


class TaskCache:
    """``Known`` by task; the least recently used is forgotten, journal and archive can tell it again."""

    def __init__(self, limit: int = 20_000, *, ended: int = 2_000) -> None:
        """``limit`` of all tasks, ``ended`` of those that have ended: seldom is anything heard of them again."""
        self._limit = limit
        self._ended_limit = ended
        self._ended: OrderedDict[TaskId, None] = OrderedDict()
        self._known: OrderedDict[TaskId, Known] = OrderedDict()
        self._changed: dict[TaskId, int] = {}
        self._beating: dict[TaskId, RunningTask] = {}
        self._still: set[TaskId] = set()
        self._held: dict[TaskId, tuple[TaskId, ...]] = {}
        self.round = 0
        """Counts changes."""
        self._expected: dict[TaskId, RunningTask] = {}
        self.early = False
        """Whether tasks that were given to us beat before they run: to another controller silence is death."""

    def __contains__(self, task: TaskId) -> bool:
        return task in self._known

    def __getitem__(self, task: TaskId) -> Known:
        return self._known[task]

    def may_wait(self, task: str) -> bool:
        """Whether no state of the task is known by which it has been taken."""
        known = self._known.get(TaskId(task))
        return known is None or known.last is None or known.last.state is StateType.SCHEDULED

    def keep(self, task: TaskId, known: Known, *, changed: bool = False) -> None:
        self._known[task] = known
        self._known.move_to_end(task)
        if changed:
            self.round += 1
            self._changed[task] = self.round
        if known.last is not None and self._beats(known):
            self._beating[task] = RunningTask(task, known.last.class_name, known.last.node)
        else:
            self._beating.pop(task, None)
            self._still.discard(task)
        document = known.document
        if (
            known.last is not None
            and known.last.name == HELD
            and document is not None
            and not document.foreign
        ):
            self._held[task] = tuple(map(TaskId, document.extra.get("dependencies", ())))
        else:
            self._held.pop(task, None)
        if known.last is not None and known.last.state.terminal:
            self._ended[task] = None
            self._ended.move_to_end(task)
        else:
            self._ended.pop(task, None)
        while len(self._ended) > self._ended_limit:
            self._drop(next(iter(self._ended)))
        while len(self._known) > self._limit:
            self._drop(next(iter(self._known)))

    def drop(self, task: TaskId) -> None:
        """Know nothing of it any more, if anything was known."""
        if task in self._known:
            self._drop(task)

    def _drop(self, task: TaskId) -> None:
        del self._known[task]
        self._ended.pop(task, None)
        self._changed.pop(task, None)

    def _beats(self, known: Known) -> bool:
        document = known.document
        if known.last is None or (document is not None and document.foreign):
            return False
        given = document is not None and document.source != BORN_IN_PREFECT
        return known.last.state in _BEATING or (self.early and given and known.last.state in _WAITING)

    def expect(self, tasks: Iterable[RunningTask]) -> None:
        """These, and no others, are given to us and not known yet."""
        self._expected = {task.id: task for task in tasks}

    def _is_unknown(self, task: TaskId) -> bool:
        return task not in self._known or self._known[task].last is None

    def changed(self, task: TaskId) -> int:
        """The round of the task's newest change; 0 for none remembered."""
        return self._changed.get(task, 0)

    def forget(self) -> None:
        """All but which tasks run, and which wait: the pulse goes on while a store is away."""
        self._known.clear()
        self._ended.clear()
        self._changed.clear()

    def beating(self) -> list[RunningTask]:
        """Tasks whose process is at work, and early ones."""
        at_work = [task for id_, task in self._beating.items() if id_ not in self._still]
        return [*at_work, *(task for task in self._expected.values() if self._is_unknown(task.id))]

    def held(self) -> dict[TaskId, tuple[TaskId, ...]]:
        """Tasks that wait for others, and for which."""
        return dict(self._held)

    def hear_still(self, hint: StillHint) -> None:
        """A process that stands still is not at work, whatever its task's state."""
        if hint.still and hint.task in self._beating:
            self._still.add(hint.task)
        else:
            self._still.discard(hint.task)
