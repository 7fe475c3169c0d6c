"""Who follows events: their number is bounded, and what is watched for them rests without them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from skald_bridge.domain.errors import Unavailable


class Seats:
    """For so many followers of any events."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0

    def check_room(self) -> None:
        """Raises ``Unavailable`` when all are taken."""
        if self.taken >= self._most:
            raise Unavailable(
                f"{self._most} clients follow the events already.", remedy="Close some of their connections."
            )

    @contextmanager
    def seat(self) -> Iterator[None]:
        """Raises ``Unavailable`` when all are taken."""
        self.check_room()
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class Followers:
    """Of one watch. ``came`` is called for each; ``linger``: seconds after which the last one counts as gone."""

    def __init__(self, seats: Seats, came: Callable[[], None], linger: float) -> None:
        self._seats, self._came, self._linger = seats, came, linger
        self._count = 0
        self._left = 0.0

    @contextmanager
    def following(self) -> Iterator[None]:
        """Raises ``Unavailable`` when all seats are taken."""
        with self._seats.seat():
            self._count += 1
            self._came()
            try:
                yield
            finally:
                self._count -= 1
                self._left = _now()

    @property
    def gone(self) -> bool:
        """Whether nobody follows, nor has for a while."""
        return not self._count and _now() - self._left > self._linger


def _now() -> float:
    return asyncio.get_running_loop().time()
