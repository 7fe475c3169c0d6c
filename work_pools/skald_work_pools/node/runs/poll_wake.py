"""When the node has a reason to look for work before its next regular poll."""

from __future__ import annotations

import asyncio

NUDGE = 0.5
"""Seconds after which a released lease leads to a poll when nobody is known to wait for it."""


class PollWake:
    """Whoever frees something says so here; the poller says whether somebody waits for it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.some_wait = False
        """Whether runs were seen that this node could not take yet."""
        self._nudge: asyncio.TimerHandle | None = None

    def now(self) -> None:
        """Poll at once."""
        self.asked.set()

    def polling(self) -> None:
        """A poll begins: it sees what a nudge was to show."""
        if self._nudge is not None:
            self._nudge.cancel()
            self._nudge = None

    def released(self) -> None:
        """A lease has ended: whoever waits for it can have it."""
        if self.some_wait:
            self.now()
        elif self._nudge is None:
            # Nobody is known to wait, but a limit of the pool may have hidden somebody.
            self._nudge = asyncio.get_running_loop().call_later(NUDGE, self.now)

    def changed(self) -> None:
        """A run that was left may be taken now."""
        if self.some_wait:
            self.now()
