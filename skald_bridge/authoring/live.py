"""Attachments that change while a task runs.

An update travels to the run, is validated against the attachments model, and is answered *applied* only when
user code has it: at its next safe point (a read of ``value``, a step of the iterator), or when its handler
accepts it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

from cachetools import FIFOCache
from pydantic import BaseModel, ValidationError

from skald_bridge.authoring.problems import describe, spellings
from skald_bridge.authoring.revisions import Candidate, ignored_fields, pick_spelling
from skald_bridge.domain.suggestions import unknown_field
from skald_work_pools.messages import Update, UpdateApplied, UpdateRejected

T = TypeVar("T", bound=BaseModel)
Answer = UpdateApplied | UpdateRejected
ENDED = "the task ended before it took the update"
_REMEMBERED = 256


class Reject(Exception):
    """Raise it in an update handler or inside ``Live.attempt`` to refuse; the sender gets the reason."""


class Live(Generic[T]):
    """The newest attachments of the running task.

        with live(attachments) as settings:
            for frame in frames:
                encode(frame, settings.value.bitrate)

    Reading ``value`` is a safe point: a waiting revision becomes the value and its sender hears *applied*.
    All methods may be called from any thread; handlers run on the thread that receives updates.
    """

    def __init__(
        self,
        value: T,
        revision: int = 1,
        answer: Callable[[Answer], None] | None = None,
        on_close: Callable[[], None] | None = None,
        given: frozenset[str] | None = frozenset(),
    ) -> None:
        """``given``: names that the task was made with, known to its model or not; ``None`` where that is not known."""
        self._model = type(value)
        self._value = value
        self._revision = revision
        self._answer = answer or (lambda _: None)
        self._on_close = on_close or (lambda: None)
        self._given = given
        self._handler: Callable[[T], None] | None = None
        self._waiting: deque[Candidate[T]] = deque()
        self._answered: FIFOCache[str, Answer] = FIFOCache(_REMEMBERED)
        self._condition = threading.Condition(threading.RLock())
        self._sleepers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._closed = False

    @property
    def value(self) -> T:
        """The newest revision, validated; a waiting update is taken and answered *applied*."""
        with self._condition:
            while self._waiting:
                self._take(self._waiting.popleft())
            return self._value

    def current(self) -> T:
        """``value``, as a verb for loops."""
        return self.value

    @property
    def revision(self) -> int:
        """The number of the revision that user code has; the first is 1."""
        with self._condition:
            return self._revision

    @property
    def taken(self) -> T:
        """The revision that user code has, without taking another."""
        with self._condition:
            return self._value

    @property
    def changed(self) -> bool:
        """Whether an update waits to be taken."""
        with self._condition:
            return bool(self._waiting)

    @contextmanager
    def attempt(self) -> Iterator[T]:
        """Try the newest waiting update: leaving the block applies it, ``Reject`` inside refuses it.

        Any other exception refuses it too and goes on. With nothing waiting the block sees the current value.
        """
        with self._condition:
            tried = list(self._waiting)
            self._waiting.clear()
        if not tried:
            yield self.value
            return
        try:
            yield tried[-1].value
        except Reject as refusal:
            self._refuse(tried, str(refusal))
        except BaseException as error:
            self._refuse(tried, f"{type(error).__name__}: {error}")
            raise
        else:
            with self._condition:
                for candidate in tried:
                    self._take(candidate)

    def on_update(self, handler: Callable[[T], None]) -> Callable[[T], None]:
        """Call ``handler`` with every update as it arrives: returning accepts it, ``Reject`` refuses it.

        What it accepted is at once the value. Usable as a decorator.
        """
        with self._condition:
            self._handler = handler
            waiting = list(self._waiting)
            self._waiting.clear()
        for candidate in waiting:
            self._judge(candidate, handler)
        return handler

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until an update waits or ``timeout`` seconds have passed; whether one waits."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._closed, timeout)
            return bool(self._waiting)

    async def wait_async(self, timeout: float | None = None) -> bool:
        """``wait`` for a coroutine."""
        sleeper = (asyncio.get_running_loop(), asyncio.Event())
        with self._condition:
            if self._waiting or self._closed:
                return bool(self._waiting)
            self._sleepers.add(sleeper)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(sleeper[1].wait(), timeout)
        finally:
            with self._condition:
                self._sleepers.discard(sleeper)
        return self.changed

    def __iter__(self) -> Iterator[T]:
        """Every change, as it comes; ends when closed."""
        while self.wait():
            yield self.value

    async def __aiter__(self) -> AsyncIterator[T]:
        while await self.wait_async():
            yield self.value

    def __enter__(self) -> Live[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no further updates; a waiting one is refused."""
        with self._condition:
            self._closed = True
            waiting = list(self._waiting)
            self._waiting.clear()
            self._wake()
        self._refuse(waiting, ENDED)
        self._on_close()

    def reopen(self) -> bool:
        """Take updates again, from the newest revision on; whether it had been closed."""
        with self._condition:
            was, self._closed = self._closed, False
            return was

    def offer(self, update: Update) -> None:
        """An update has arrived; transports call this. A repeat is answered as before, not applied twice."""
        with self._condition:
            earlier = self._answered.get(update.update_id)
            if earlier is None and any(each.update.update_id == update.update_id for each in self._waiting):
                return
            newest = self._waiting[-1].value if self._waiting else self._value
        if earlier is not None:
            self._answer(earlier)
            return
        if self._given is not None and (
            unknown := ignored_fields(self._model, update.attachments, self._given)
        ):
            problem = "; ".join(unknown_field(name, spellings(self._model)) for name in unknown)
            self._refuse([Candidate(update, newest)], problem)
            return
        try:
            value = self._model.model_validate(pick_spelling(self._model, update.attachments, newest))
        except ValidationError as error:
            self._refuse([Candidate(update, newest)], describe(error, self._model))
            return
        self._receive(Candidate(update, value))

    def _receive(self, candidate: Candidate[T]) -> None:
        with self._condition:
            if handler := self._handler:
                pass
            elif not self._closed:
                self._waiting.append(candidate)
                self._wake()
                return
        if handler and not self._closed:
            self._judge(candidate, handler)
        else:
            self._refuse([candidate], ENDED)

    def _judge(self, candidate: Candidate[T], handler: Callable[[T], None]) -> None:
        try:
            handler(candidate.value)
        except Reject as refusal:
            self._refuse([candidate], str(refusal))
        except Exception as error:
            self._refuse([candidate], f"{type(error).__name__}: {error}")
        else:
            with self._condition:
                self._take(candidate)
                self._wake()

    def basis(self) -> tuple[dict[str, Any], int]:
        """What the next changes are merged into: the newest attachments known, by alias, and their number."""
        with self._condition:
            if self._waiting:
                newest = self._waiting[-1]
                return _dump(newest.value), newest.update.revision
            return _dump(self._value), self._revision

    def _take(self, candidate: Candidate[T]) -> None:
        update = candidate.update
        self._value, self._revision = candidate.value, update.revision
        self._reply(UpdateApplied(update.update_id, update.revision, _dump(candidate.value)))

    def _refuse(self, candidates: Iterable[Candidate[T]], reason: str) -> None:
        for update in (candidate.update for candidate in candidates):
            self._reply(UpdateRejected(update.update_id, update.revision, reason or "refused by the task"))

    def _reply(self, answer: Answer) -> None:
        with self._condition:
            self._answered[answer.update_id] = answer
        with suppress(OSError):
            self._answer(answer)

    def _wake(self) -> None:
        self._condition.notify_all()
        for loop, event in self._sleepers:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(event.set)


def _dump(value: BaseModel) -> dict[str, Any]:
    return value.model_dump(mode="json", by_alias=True)
