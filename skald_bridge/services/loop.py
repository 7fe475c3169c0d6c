"""The one loop that every background duty runs on: start, stop, wake, backoff, failures logged once."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from skald_bridge.domain.errors import SkaldError

_log = logging.getLogger("skald_bridge.loop")
KINDS = 8
"""So many kinds of failure are logged until a step succeeds."""
_READ = 500
_NUMBERS = re.compile(r"[\w.:-]*\d[\w.:-]*")


@dataclass(frozen=True)
class RetryDelay:
    """Seconds to wait after failures: doubling from ``first`` to ``longest``, times a jitter of 0.5…1."""

    first: float = 0.2
    longest: float = 5.0

    def after(self, failures: int, jitter: float) -> float:
        return min(self.longest, self.first * 2.0 ** min(failures - 1, 30)) * jitter


class Wake:
    """When a loop's next step begins at the latest: call it to hurry the loop, also before there is one."""

    def __init__(self) -> None:
        self.due = 0.0
        self.changed = asyncio.Event()

    def __call__(self, seconds: float = 0.0) -> None:
        """In so many seconds, also where the step waits for its backoff."""
        due = _now() + seconds
        if due < self.due:
            self.due = due
            self.changed.set()


class Loop:
    """Calls ``step`` again and again; ``step`` returns the seconds until it wants to be called again.

    A step that raises is called again after a backoff; each kind of failure is logged once, until a step succeeds.
    Cancellation passes through everything.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], Awaitable[float]],
        *,
        jitter: Callable[[], float],
        backoff: RetryDelay | None = None,
        wake: Wake | None = None,
    ) -> None:
        """``wake``: what others hurry the loop by, where they were made before it."""
        self.name = name
        self.hurry = wake or Wake()
        self._step = step
        self._jitter = jitter
        self._backoff = backoff or RetryDelay()
        self._failures = 0
        self._told: set[str] = set()
        self._problem: str | None = None
        self._began: float | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def problem(self) -> str | None:
        """Why the newest step failed, in one line; ``None`` while all is well.

        A step that has been at work for longer than a backoff is well: some wait for news for as long as they can.
        """
        waits = self._began is not None and _now() - self._began > self._backoff.longest
        return None if waits else self._problem

    def start(self) -> None:
        self._task = asyncio.create_task(self.run(), name=self.name)

    async def stop(self) -> None:
        """Returns when the loop has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            # Anything that hurries us from here on is for the step after this one.
            self.hurry.due = float("inf")
            delay = await self._once()
            self.hurry.due = min(self.hurry.due, _now() + delay)
            await self._wait()

    async def _once(self) -> float:
        self._began = began = _now()
        try:
            delay = await self._step()
        except Exception as error:
            if _now() - began > 2 * self._backoff.longest:
                self._failures = 0
            self._failures += 1
            self._problem = error.message if isinstance(error, SkaldError) else type(error).__name__
            self._tell(error)
            return self._backoff.after(self._failures, self._jitter())
        finally:
            self._began = None
        if self._told:
            _log.info("%s: works again", self.name)
        self._told.clear()
        self._failures, self._problem = 0, None
        return delay

    async def _wait(self) -> None:
        while (left := self.hurry.due - _now()) > 0:
            self.hurry.changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self.hurry.changed.wait()
            except TimeoutError:
                return

    def _tell(self, error: Exception) -> None:
        kind = kind_of(error)
        if kind in self._told or len(self._told) > KINDS:
            return
        if len(self._told) == KINDS:
            kind, error = "", SkaldError("it fails in many ways; no more are told until it works again")
        self._told.add(kind)
        if isinstance(error, SkaldError):
            _log.warning("%s: %s", self.name, error)
        else:
            _log.error("%s failed; it is tried again", self.name, exc_info=error)


def kind_of(error: Exception) -> str:
    """The same for failures that differ in numbers, times, addresses or ids only."""
    return f"{type(error).__name__}: " + _NUMBERS.sub("#", str(error)[:_READ])


def _now() -> float:
    return asyncio.get_running_loop().time()
