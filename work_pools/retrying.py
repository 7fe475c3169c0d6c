"""Requests that must not be lost: repeated until the server answers."""

from __future__ import annotations

import asyncio
import itertools
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


def pauses() -> Iterator[float]:
    """Seconds between attempts, for ever; uneven, so that many who wait don't come at once."""
    for pause in itertools.chain((0.1, 0.2, 0.4, 0.8, 1.6), itertools.repeat(4.0)):
        yield pause * random.uniform(0.75, 1.25)  # noqa: S311


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
