"""Hints: heard on one connection, journaled in batches, looked at until they are proven."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.facts import Hint, NodesHint, RecordedHint, StateHint, StillHint
from skald_bridge.domain.ids import TaskId
from skald_bridge.ports import Engine
from skald_bridge.services.budget import Budget
from skald_bridge.services.mirror import Mirror

BATCH = 1000
FEW = 3
"""Of so many tasks, each state is asked for; of more, the tasks are, in one question."""
GRACE = 0.03
"""Seconds in which a new task's maker, where that is us, has Prefect's answer, which is proof enough."""
ATTEMPTS = 8
FIRST_RETRY = 0.01
LONGEST_RETRY = 1.0
SHARE = 0.1
"""Part of the time that looks may take for long, so that a busy Prefect server keeps the rest."""
SAVED = 0.5
"""Seconds of looks that may follow each other after a quiet time."""


class Inbox:
    """Hints that wait; when it is full they are dropped, and the sweep finds what they told."""

    def __init__(self, lost: Callable[[], None], limit: int = 10_000) -> None:
        self._hints: deque[Hint] = deque()
        self._lost = lost
        self._limit = limit
        self.arrived = asyncio.Event()

    def put(self, hint: Hint) -> None:
        if len(self._hints) >= self._limit:
            self._hints.clear()
            self._lost()
        self._hints.append(hint)
        self.arrived.set()

    def take(self) -> list[Hint]:
        taken = [self._hints.popleft() for _ in range(min(BATCH, len(self._hints)))]
        if not self._hints:
            self.arrived.clear()
        return taken


class Listener:
    """Hears Prefect's hints. Before each new connection lies a gap that the sweep must look into."""

    def __init__(
        self,
        engine: Engine,
        inbox: Inbox,
        gap: Callable[[], None],
        *,
        still: Callable[[StillHint], None],
        recorded: Callable[[RecordedHint], None],
        announced: Callable[[], None],
    ) -> None:
        """
        Args:
            gap: called before each new connection.
            still: hears of processes that stand still: nothing to be written down.
            recorded: hears of finished recordings.
            announced: called when a node has come or gone.
        """
        self._engine = engine
        self._inbox = inbox
        self._gap = gap
        self._still, self._recorded, self._announced = still, recorded, announced

    async def step(self) -> float:
        async with self._engine.hints() as hints:
            self._gap()
            async for hint in hints:
                if isinstance(hint, StillHint):
                    self._still(hint)
                elif isinstance(hint, RecordedHint):
                    self._recorded(hint)
                elif isinstance(hint, NodesHint):
                    self._announced()
                else:
                    self._inbox.put(hint)
        raise Unavailable("Prefect's event stream ended", remedy="None needed: it is opened again.")


@dataclass
class _Unproven:
    """The newest hint of a task, and when to look at the task again."""

    hint: Hint
    due: float
    attempts: int = 0


class Intake:
    """Takes hints from the inbox to the mirror."""

    def __init__(self, inbox: Inbox, mirror: Mirror, lost: Callable[[], None]) -> None:
        self._inbox = inbox
        self._mirror = mirror
        self._lost = lost
        self._unproven: dict[TaskId, _Unproven] = {}
        self._budget = Budget(SHARE, SAVED)

    async def step(self) -> float:
        await self._wait()
        try:
            await self._hear(self._inbox.take())
            await self._look()
        except Exception:
            self._lost()
            raise
        return 0.0

    async def _wait(self) -> None:
        """Until a hint arrives or a look is due."""
        due = [unproven.due for unproven in self._unproven.values()]
        left = max(min(due) - _now(), self._budget.wait(_now())) if due else None
        if left is not None and left <= 0:
            return
        try:
            async with asyncio.timeout(left):
                await self._inbox.arrived.wait()
        except TimeoutError:
            return

    async def _hear(self, hints: list[Hint]) -> None:
        if not hints:
            return
        newest = {hint.task: hint for hint in sorted(hints, key=lambda hint: isinstance(hint, StateHint))}
        unproven = await self._mirror.hear(hints)
        for task, hint in newest.items():
            if task in unproven:
                is_new = isinstance(hint, StateHint) and hint.first
                self._unproven[task] = _Unproven(hint, _now() + (GRACE if is_new else 0.0))
            else:
                self._unproven.pop(task, None)

    async def _look(self) -> None:
        began = _now()
        due = {task: unproven for task, unproven in self._unproven.items() if unproven.due <= began}
        for task in [task for task, unproven in due.items() if self._is_proven(task, unproven.hint)]:
            del due[task], self._unproven[task]
        if not due or self._budget.wait(began) > 0:
            return
        for task, unproven in due.items():
            unproven.attempts += 1
            unproven.due = began + min(LONGEST_RETRY, FIRST_RETRY * 2**unproven.attempts)
            if unproven.attempts >= ATTEMPTS:
                del self._unproven[task]
        few = len(due) <= FEW
        provable = {task for task, unproven in due.items() if few and self._is_provable(task, unproven)}
        if provable:
            await self._mirror.prove(provable)
        if rest := due.keys() - provable:
            await self._mirror.look(rest)
        self._budget.spend(_now() - began, _now())
        still = await self._mirror.hear([unproven.hint for unproven in due.values()])
        for task in due.keys() - still:
            self._unproven.pop(task, None)

    def _is_proven(self, task: TaskId, hint: Hint) -> bool:
        memory = self._mirror.memory
        last = memory[task].last if task in memory else None
        return isinstance(hint, StateHint) and last is not None and last.id == hint.state.id

    def _is_provable(self, task: TaskId, unproven: _Unproven) -> bool:
        """A state of a task whose document is known needs no more than to be stored."""
        memory = self._mirror.memory
        if unproven.attempts > 1 or task not in memory:
            return False
        return memory[task].held is not None and memory[task].document is not None


def _now() -> float:
    return asyncio.get_running_loop().time()
