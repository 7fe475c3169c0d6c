"""A stream of events that clients follow and resume.

All clients read one bounded ring, each from a place of its own: a slow one costs no memory. What it has missed
beyond the ring, it gets as a snapshot of what is so now.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from itertools import islice

RING = 10_000
BATCH = 200
KEEP_ALIVE_SECONDS = 15.0
RETRY_MS = 2000


@dataclass(frozen=True)
class Event:
    """``subject`` is the task or Skald it is about; ``data`` one line of JSON."""

    number: int
    subject: str
    data: str


Snapshot = Callable[[], Iterable[tuple[str, str]]]
"""What is so now, as subjects and data."""


class Stream:
    """``publish`` on one side, ``follow`` on the other, on one event loop."""

    def __init__(self, era: str, *, ring: int = RING) -> None:
        """``era`` tells the ids of this stream from those of an earlier one."""
        self._era = era
        self._ring: deque[Event] = deque(maxlen=ring)
        self._news = asyncio.Event()
        self._newest = 0
        self._closed = False

    def publish(self, subject: str, data: str) -> None:
        self._newest += 1
        self._ring.append(Event(self._newest, subject, data))
        self._wake()

    def restart(self, era: str) -> None:
        """What comes next does not follow what was: whoever resumes gets a snapshot."""
        self._era = era
        self._newest += 1
        self._ring.clear()

    def close(self) -> None:
        """Every ``follow`` ends."""
        self._closed = True
        self._wake()

    async def follow(
        self,
        snapshot: Snapshot,
        *,
        only: str | None = None,
        last_id: str | None = None,
        keep_alive: float = KEEP_ALIVE_SECONDS,
    ) -> AsyncIterator[str]:
        """Server-sent events, several in one text.

        Args:
            only: the one subject wanted.
            last_id: where the client was; without it, or when that is too long ago, a snapshot comes first.
        """
        yield f"retry: {RETRY_MS}\n\n"
        at = self._number(last_id)
        while not self._closed:
            missed = self._since(at) if at is not None else None
            if missed is None:
                era, at = self._era, self._newest
                async for text in _texts(snapshot(), only):
                    yield text
                # Not before: who is cut off within a snapshot needs all of it again.
                yield f"id: {era}-{at}\n\n"
            elif missed:
                at = missed[-1].number
                if text := "".join(self._framed(event) for event in missed if only in (None, event.subject)):
                    yield text
            elif not await self._wait(keep_alive):
                yield ": still here\n\n"

    def _since(self, at: int) -> list[Event] | None:
        """The next events after ``at``, some of them; ``None`` when the ring no longer has them."""
        oldest = self._ring[0].number if self._ring else self._newest + 1
        if at < oldest - 1:
            return None
        start = at - oldest + 1
        return list(islice(self._ring, start, start + BATCH))

    def _number(self, id_: str | None) -> int | None:
        era, _, number = (id_ or "").rpartition("-")
        if era != self._era or not (number.isascii() and number.isdigit()) or len(number) > 18:
            return None
        return int(number) if int(number) <= self._newest else None

    def _framed(self, event: Event) -> str:
        return f"id: {self._era}-{event.number}\ndata: {event.data}\n\n"

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _wait(self, seconds: float) -> bool:
        """Whether there is news within so many seconds."""
        if self._closed:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True


async def _texts(pairs: Iterable[tuple[str, str]], only: str | None) -> AsyncIterator[str]:
    some: list[str] = []
    for subject, data in pairs:
        if only in (None, subject):
            some.append(f"data: {data}\n\n")
        if len(some) >= BATCH:
            yield "".join(some)
            some = []
    if some:
        yield "".join(some)
