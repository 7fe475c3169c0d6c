"""Where a child's updates wait until user code says who takes them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from skald_work_pools.messages import Update, UpdateRejected

UNTAKEN = "this task does not take updates while it runs"
PATIENCE = 2.0
"""Seconds for a flow that has just started to reach its ``live()``."""


class UpdateInbox:
    """Hands updates to their receiver; refuses them when there is none after ``patience`` seconds."""

    def __init__(self, refuse: Callable[[UpdateRejected], None], patience: float = PATIENCE) -> None:
        self._refuse = refuse
        self._patience = patience
        self._receiver: Callable[[Update], None] | None = None
        self._held: list[Update] = []
        self._lock = threading.Lock()

    def deliver(self, update: Update) -> None:
        with self._lock:
            receiver = self._receiver
            if receiver is None:
                self._held.append(update)
        if receiver is not None:
            receiver(update)
            return
        timer = threading.Timer(self._patience, self._give_up, (update,))
        timer.daemon = True
        timer.start()

    def hand_to(self, receiver: Callable[[Update], None]) -> None:
        """From now on ``receiver`` gets every update, those held first; the last caller wins."""
        with self._lock:
            self._receiver = receiver
            held, self._held = self._held, []
        for update in held:
            receiver(update)

    def _give_up(self, update: Update) -> None:
        with self._lock:
            if update not in self._held:
                return
            self._held.remove(update)
        with suppress(OSError):
            self._refuse(UpdateRejected(update.update_id, update.revision, UNTAKEN))
