"""Requests that must not be lost: repeated until the server answers."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import httpx

LOUD = 4
"""Attempts after which a server that does not answer is worth a warning."""
BROKEN = 12
"""Attempts after which an internal error is the request's fault, not a passing one."""
T = TypeVar("T")
_log = logging.getLogger("skald.node.api")


def unanswered(error: Exception) -> bool:
    """Whether the server may answer the same request later: it is away, restarting or overloaded."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code in (408, 429)
    return isinstance(error, httpx.TransportError)


def _is_broken(error: Exception) -> bool:
    return (
        isinstance(error, httpx.HTTPStatusError)
        and error.response.status_code == httpx.codes.INTERNAL_SERVER_ERROR
    )


class Backoff:
    """Pauses after failures in a row: ``first`` seconds, then twice as long each time, up to ``most``.

    Uneven, so that many who wait don't come at once.
    """

    def __init__(self, first: float = 0.1, most: float = 4.0) -> None:
        self._first, self._most = first, most
        self.failures = 0

    def reset(self) -> None:
        """The call succeeded: the next failure is the first again."""
        self.failures = 0

    def failed(self) -> float:
        """Count a failure; the seconds to wait before the next attempt."""
        pause = min(self._most, self._first * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return pause * random.uniform(0.75, 1.25)  # noqa: S311

    async def wait(self) -> None:
        """Count a failure, and wait its pause."""
        await asyncio.sleep(self.failed())


def pauses() -> Iterator[float]:
    """Seconds between attempts, for ever."""
    backoff = Backoff()
    while True:
        yield backoff.failed()


async def insist(call: Callable[[], Awaitable[T]], what: str) -> T:
    """The result of ``call``, tried until the server answers; other errors are raised."""
    for attempt, pause in enumerate(pauses(), 1):
        try:
            return await call()
        except httpx.HTTPError as error:
            if not unanswered(error) or (_is_broken(error) and attempt >= BROKEN):
                raise
            _log.log(
                logging.WARNING if attempt == LOUD else logging.DEBUG,
                "%s: the Prefect server does not answer (%s); trying again",
                what,
                error or type(error).__name__,
            )
        await asyncio.sleep(pause)
    raise AssertionError("unreachable")
