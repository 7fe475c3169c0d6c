"""Where items go that could not be handled: each is told once, counted, and kept so that it can be given back."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Protocol, TypeVar

from cachetools import FIFOCache

from skald_bridge.domain.dead_letters import DeadLetter, Kind, readable, reason_of
from skald_bridge.domain.errors import Failing, SkaldError, Unavailable
from skald_bridge.ports import Clock

TRIES = 5
"""So often a service fails at an item, and answers another question, before the item is to blame."""
_REMEMBERED = 10_000
_UNSAVED = 1_000
_log = logging.getLogger("skald_bridge.dead_letters")
T = TypeVar("T")


class DeadLetterStore(Protocol):
    """Keeps items that were set aside."""

    async def put(self, item: DeadLetter) -> None: ...


class DeadLetters:
    """What could not be handled. Nothing here raises but for cancellation: what cannot even be kept is logged."""

    def __init__(self, store: DeadLetterStore | None, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: FIFOCache[str, str] = FIFOCache(_REMEMBERED)
        self.counts: Counter[Kind] = Counter()
        """Since the start, by kind; an item once for each reason."""
        self.newest: DeadLetter | None = None
        self._unsaved: list[DeadLetter] = []

    def note(
        self,
        kind: Kind,
        name: str,
        error: BaseException,
        *,
        key: bytes | None = None,
        body: bytes | None = None,
    ) -> None:
        """Log and count it, unless that was done already; ``save`` keeps it."""
        defect = not isinstance(error, SkaldError)
        letter = DeadLetter(kind, readable(name), reason_of(error), self._clock.now(), defect, key, body)
        if self._known.get(letter.id) == letter.reason:
            return
        self._known[letter.id] = letter.reason
        self.counts[kind] += 1
        self.newest = letter
        _log.warning(
            "%s %s is set aside: %s",
            kind.value,
            letter.name,
            letter.reason,
            exc_info=error if defect else None,
        )
        if len(self._unsaved) < _UNSAVED:
            self._unsaved.append(letter)

    def forget(self, letter: DeadLetter) -> None:
        """It is handled again: what is said of it then is news."""
        self._known.pop(letter.id, None)

    async def put(
        self,
        kind: Kind,
        name: str,
        error: BaseException,
        *,
        key: bytes | None = None,
        body: bytes | None = None,
    ) -> None:
        """``note``, and ``save``: it can be given back."""
        self.note(kind, name, error, key=key, body=body)
        await self.save()

    async def save(self) -> None:
        """Keep what was noted."""
        unsaved, self._unsaved = self._unsaved, []
        if self._store is None:
            return
        for letter in unsaved:
            try:
                await self._store.put(letter)
            except Exception:
                _log.exception("%s cannot be kept for later", letter.id)


class Suspicion:
    """Tells an item at which a service fails from a service that fails at everything."""

    def __init__(self, answers: Callable[[], Awaitable[object]]) -> None:
        """``answers``: asks the service something else; raises ``Unavailable``."""
        self._answers = answers
        self._tries: FIFOCache[Hashable, int] = FIFOCache(_REMEMBERED)

    async def confirmed(self, item: Hashable, error: Unavailable) -> bool:
        """Whether trying the item again is of no use."""
        if not isinstance(error, Failing):
            return False
        self._tries[item] = self._tries.get(item, 0) + 1
        if self._tries[item] < TRIES:
            return False
        try:
            await self._answers()
        except Unavailable:
            return False
        del self._tries[item]
        return True


async def isolated(
    items: Sequence[T],
    do: Callable[[Sequence[T]], Awaitable[None]],
    aside: Callable[[T, Exception], Awaitable[None]],
) -> None:
    """``do`` with all items at once; where it fails, with halves of them, down to those that are at fault.

    Order is kept. ``do`` may see an item several times. Raises ``Unavailable`` only.
    """
    try:
        await do(items)
    except Unavailable:
        raise
    except Exception as error:
        if len(items) == 1:
            await aside(items[0], error)
            return
        middle = len(items) // 2
        await isolated(items[:middle], do, aside)
        await isolated(items[middle:], do, aside)
