"""Tasks that wait for a place: who asks for them, and for how long. Their order is that of placement's queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import islice

from skald_bridge.domain.placements import Full, Granted, NoWorker, Outcome, Queued, Waited
from skald_work_pools.placement.fleet import Fleet
from skald_work_pools.placement.model import NEVER, Grant, Refusal, Request, Waiting
from skald_work_pools.placement.queue import Queue

MOST = 10_000
KEPT = 60.0
"""Seconds that a task keeps its place while nobody asks for it."""
_GATHERED = 0.01
"""Seconds in which news of room are taken together."""


class _Waiter:
    __slots__ = ("answer", "asking", "kept", "request", "since")

    def __init__(self, request: Request, answer: asyncio.Future[Outcome], since: datetime) -> None:
        self.request, self.answer, self.since = request, answer, since
        self.asking, self.kept = 0, 0.0


class WaitingLine:
    """``granted`` is told each grant that the queue makes."""

    def __init__(
        self, fleet: Fleet, now: Callable[[], datetime], granted: Callable[[Grant], Granted]
    ) -> None:
        self._fleet, self._now, self._granted = fleet, now, granted
        self._queue = Queue(fleet)
        self._waiters: dict[str, _Waiter] = {}
        self._hoping: dict[str, _Waiter] = {}
        """Those that no worker could ever take yet; they are in no queue."""
        self._looking: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiters)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._waiters

    def waiting(self, most: int) -> list[Waiting]:
        """The first, in the order of their turns; last those that no worker could ever take yet."""
        found = self._queue.waiting(most)
        hoping = islice(self._hoping.values(), most - len(found))
        return [*found, *(Waiting(each.request, each.since, NEVER) for each in hoping)]

    def room_may_have_grown(self) -> None:
        if self._waiters and self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(_GATHERED, self.serve)

    def serve(self) -> None:
        """Place whoever can be placed, if there may be more room than before: nobody may overtake those."""
        if self._looking is None:
            return
        self._looking.cancel()
        self._looking = None
        now = self._now()
        for waiter in [each for each in self._hoping.values() if self._fleet.could_ever(each.request)]:
            self._submit(waiter, now)
        self._queue.pump(now)
        self._answer()

    async def wait(self, request: Request, seconds: float, *, keeps_place: bool) -> Outcome:
        """A place, or what became of the wait; a task that is asked for again goes on where it was."""
        waiter = self._joined(request)
        if waiter is None:
            return Full()
        waiter.asking += 1
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(waiter.answer)
        except TimeoutError:
            return Queued(self._position(request.task)) if keeps_place else Waited()
        finally:
            waiter.asking -= 1
            if not waiter.asking and not waiter.answer.done():
                if keeps_place:
                    waiter.kept = asyncio.get_running_loop().time() + KEPT
                else:
                    self._end(waiter, Waited())

    def placed(self, task_id: str, outcome: Granted) -> None:
        """Nobody waits for a place of this task any longer."""
        if (waiter := self._waiters.get(task_id)) is not None:
            self._end(waiter, outcome)

    def leave(self, task_id: str) -> bool:
        """Whether it waited; who asks for it hears that there is no worker."""
        waiter = self._waiters.get(task_id)
        if waiter is not None:
            self._end(waiter, NoWorker())
        return waiter is not None

    def tick(self) -> None:
        """Let go of those whom nobody has asked for in a while."""
        if not self._waiters:
            return
        now = asyncio.get_running_loop().time()
        for waiter in list(self._waiters.values()):
            if not waiter.asking and waiter.kept < now:
                self._end(waiter, Waited())

    def _joined(self, request: Request) -> _Waiter | None:
        waiter = self._waiters.get(request.task)
        if waiter is None:
            if len(self._waiters) >= MOST:
                return None
            waiter = _Waiter(request, asyncio.get_running_loop().create_future(), self._now())
            self._waiters[request.task] = waiter
            self._submit(waiter, self._now())
        return waiter

    def _submit(self, waiter: _Waiter, now: datetime) -> None:
        self._hoping.pop(waiter.request.task, None)
        if isinstance(self._queue.submit(waiter.request, now), Refusal):
            self._hoping[waiter.request.task] = waiter
        self._answer()

    def _answer(self) -> None:
        """Whoever has a place: what one submits may move others."""
        for task in [each for each in self._waiters if self._fleet.grant(each) is not None]:
            grant = self._fleet.grant(task)
            assert grant is not None
            self.placed(task, replace(self._granted(grant), queued=True))

    def _position(self, task_id: str) -> int:
        order = [*(each.request.task for each in self._queue.waiting()), *self._hoping]
        return order.index(task_id) + 1

    def _end(self, waiter: _Waiter, outcome: Outcome) -> None:
        task = waiter.request.task
        del self._waiters[task]
        self._hoping.pop(task, None)
        self._queue.withdraw(task)
        if not waiter.answer.done():
            waiter.answer.set_result(outcome)
