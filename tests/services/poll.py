"""Waiting for the outside world with a deadline, never with a fixed sleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
STEP = 0.05


def until(check: Callable[[], T], seconds: float, what: str) -> T:
    """The first truthy result of ``check``; an AssertionError naming ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        if result := check():
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(STEP)


async def auntil(check: Callable[[], Awaitable[T]], seconds: float, what: str) -> T:
    """``until`` for a coroutine function."""
    deadline = time.monotonic() + seconds
    while True:
        if result := await check():
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(STEP)
