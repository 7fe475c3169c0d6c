"""For tests of flows: send hot updates to a flow called in the same process.

with updates() as feed:
    sent = feed.push(bitrate=900)
    my_flow.fn(Settings())
assert sent.applied
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from skald_bridge.authoring.live import Live
from skald_work_pools.attachments import merge
from skald_work_pools.messages import Update, UpdateApplied, UpdateRejected


class Sent:
    """One update and, once the flow gave it, its answer."""

    def __init__(self, changes: dict[str, Any]) -> None:
        self.id = uuid4().hex
        self.changes = changes
        self.answer: UpdateApplied | UpdateRejected | None = None
        self._answered = threading.Event()

    def settle(self, answer: UpdateApplied | UpdateRejected) -> None:
        self.answer = answer
        self._answered.set()

    def wait(self, timeout: float = 5.0) -> UpdateApplied | UpdateRejected:
        """The answer, for flows that run on another thread.

        Raises:
            TimeoutError: the flow did not answer within ``timeout`` seconds.
        """
        if not self._answered.wait(timeout) or self.answer is None:
            raise TimeoutError(f"the flow did not answer {self.changes} within {timeout:g} s")
        return self.answer

    @property
    def applied(self) -> bool:
        return isinstance(self.answer, UpdateApplied)

    @property
    def reason(self) -> str | None:
        """Why it was refused."""
        return self.answer.reason if isinstance(self.answer, UpdateRejected) else None


class UpdateFeed:
    """Stands where a node stands: numbers updates, merges them, hears the answers."""

    def __init__(self) -> None:
        self._live: Live[Any] | None = None
        self._early: list[Sent] = []
        self._sent: dict[str, Sent] = {}
        self._lock = threading.RLock()

    def push(self, **changes: Any) -> Sent:
        """Send changes; before the flow's ``live()`` they wait for it."""
        sent = Sent(changes)
        with self._lock:
            self._sent[sent.id] = sent
            if self._live is None:
                self._early.append(sent)
                return sent
            self._deliver(self._live, sent)
        return sent

    def connect(self, live: Live[Any]) -> None:
        with self._lock:
            self._live = live
            early, self._early = self._early, []
            for sent in early:
                self._deliver(live, sent)

    def answered(self, answer: UpdateApplied | UpdateRejected) -> None:
        self._sent[answer.update_id].settle(answer)

    def _deliver(self, live: Live[Any], sent: Sent) -> None:
        newest, revision = live.basis()
        live.offer(Update(sent.id, revision + 1, merge(newest, sent.changes)))


@contextmanager
def updates() -> Iterator[UpdateFeed]:
    """While the block lasts, every ``live()`` of this process listens to the feed."""
    feed = UpdateFeed()
    _feeds.append(feed)
    try:
        yield feed
    finally:
        _feeds.remove(feed)


def current_feed() -> UpdateFeed | None:
    return _feeds[-1] if _feeds else None


_feeds: list[UpdateFeed] = []
