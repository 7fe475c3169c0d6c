"""Tasks that wait for a place: by priority, then in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

from skald_bridge.domain.placements import Full, Granted, NoWorker, Outcome, Queued, Waited
from skald_bridge.wire.dtask import HIGHEST_PRIORITY, Schedule

MOST = 10_000
KEPT = 60.0
"""Seconds that a task keeps its place while nobody asks for it."""
_GATHERED = 0.01
"""Seconds in which news of room are taken together."""

Place = Callable[[Schedule], Granted | NoWorker]


class _Waiter:
    __slots__ = ("answer", "asking", "kept", "request", "want")

    def __init__(self, request: Schedule, answer: asyncio.Future[Outcome]) -> None:
        self.request, self.answer = request, answer
        self.want = (
            frozenset(request.required),
            frozenset(request.forbidden),
            frozenset(request.preferred),
            request.needs,
        )
        self.asking = 0
        self.kept = 0.0


class WaitingLine:
    """``place`` gives a task its place, where there is room."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lines: list[dict[str, _Waiter]] = [{} for _ in range(HIGHEST_PRIORITY + 1)]
        self._waiters: dict[str, _Waiter] = {}
        self._looking: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiters)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._waiters

    def room_may_have_grown(self) -> None:
        if self._waiters and self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(_GATHERED, self.serve)

    def serve(self) -> None:
        """Place whoever can be placed, if there may be more room than before: nobody may overtake those."""
        if self._looking is None:
            return
        self._looking.cancel()
        self._looking = None
        without = set()
        for waiter in list(self._in_order()):
            if waiter.want in without:
                continue
            outcome = self._place(waiter.request)
            if isinstance(outcome, NoWorker):
                without.add(waiter.want)
            else:
                self._end(waiter, replace(outcome, queued=True))

    async def wait(self, request: Schedule) -> Outcome:
        """A place, or what became of the wait; a request that is asked again goes on where it was."""
        waiter = self._joined(request)
        if waiter is None:
            return Full()
        waiter.asking += 1
        try:
            async with asyncio.timeout(request.wait):
                return await asyncio.shield(waiter.answer)
        except TimeoutError:
            return Queued(self._position(waiter)) if request.keeps_place else Waited()
        finally:
            waiter.asking -= 1
            if not waiter.asking and not waiter.answer.done():
                if request.keeps_place:
                    waiter.kept = asyncio.get_running_loop().time() + KEPT
                else:
                    self._end(waiter, Waited())

    def placed(self, task_id: str, outcome: Granted) -> None:
        """The task has a place by another way than ``serve``: nobody waits for one any longer."""
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

    def _joined(self, request: Schedule) -> _Waiter | None:
        waiter = self._waiters.get(request.task_id)
        if waiter is None:
            if len(self._waiters) >= MOST:
                return None
            waiter = _Waiter(request, asyncio.get_running_loop().create_future())
            self._waiters[request.task_id] = waiter
            self._lines[request.priority][request.task_id] = waiter
        return waiter

    def _in_order(self) -> Iterator[_Waiter]:
        for line in reversed(self._lines):
            yield from line.values()

    def _position(self, waiter: _Waiter) -> int:
        return next(number for number, each in enumerate(self._in_order(), 1) if each is waiter)

    def _end(self, waiter: _Waiter, outcome: Outcome) -> None:
        del self._waiters[waiter.request.task_id]
        del self._lines[waiter.request.priority][waiter.request.task_id]
        if not waiter.answer.done():
            waiter.answer.set_result(outcome)
