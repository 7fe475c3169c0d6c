"""Log records of runs on their way to Prefect: batched, bounded, in order, kept while the server is away."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from skald_work_pools.messages import NODE_LOGGER
from skald_work_pools.node.server.batch_delivery import deliver
from skald_work_pools.retrying import Backoff

BATCH, BATCH_CHARACTERS = 200, 1_000_000
KEPT, KEPT_CHARACTERS = 20_000, 50_000_000
"""What is kept while the server does not answer; the oldest records go first."""
CROWDED, ROOMY = 4_000, 1_000
"""Waiting records from which on tasks are held up, while the server answers, and below which they go on."""
_WINDOW = 0.4
_log = logging.getLogger("skald.node.logs")


class RunLogs:
    """``send`` posts one batch of records in the API's form (``LogCreate``) and raises when it could not."""

    def __init__(self, send: Callable[[Sequence[dict[str, Any]]], Awaitable[None]]) -> None:
        self._send = send
        self._waiting: deque[dict[str, Any]] = deque()
        self._characters = 0
        self._dropped = 0
        self._some = asyncio.Event()
        self._sending = False
        self._answers = True
        self._held: list[Callable[[], None]] = []

    def hold(self, resume: Callable[[], None]) -> bool:
        """Whether there is no room now; ``resume`` is called when there is."""
        if not self._answers or len(self._waiting) < CROWDED:
            return False
        self._held.append(resume)
        return True

    def say(self, run_id: str, message: str, level: int = logging.INFO) -> None:
        """The node's own word about a run."""
        self.add(record(run_id, NODE_LOGGER, message, level))

    def output(self, run_id: str, name: str, lines: list[str]) -> None:
        """Lines a run's processes printed to ``name``; empty ones are left out."""
        for line in lines:
            if line.strip():
                self.add(record(run_id, name, line, logging.INFO))

    def add(self, entry: dict[str, Any]) -> None:
        """A record as the API takes it; characters that no database takes are replaced."""
        message, name = (_storable(str(entry.get(key, ""))) for key in ("message", "name"))
        self._waiting.append({**entry, "message": message, "name": name})
        self._characters += len(message)
        self._bound()
        self._some.set()

    async def run(self) -> None:
        """Send batches for ever; waits longer after each failure, up to 10 s."""
        while True:
            await self._some.wait()
            await asyncio.sleep(_WINDOW)
            await self._flush(None, len(self._waiting))

    async def flush(self, tries: int | None = 3) -> None:
        """Send what waits; gives up after ``tries`` failures in a row, never with ``None``."""
        await self._flush(tries, KEPT)

    async def _flush(self, tries: int | None, most: int) -> None:
        """``most``: what comes meanwhile is left to the next window, lest a busy node posts record by record."""
        backoff = Backoff(first=1.0, most=10.0)
        while self._waiting and not self._sending and most > 0:
            batch = self._next_batch()
            most -= len(batch)
            self._sending = True
            try:
                delivery = await deliver(batch, self._send)
            except BaseException:
                self._put_back(batch)
                raise
            finally:
                self._sending = False
            self._put_back(delivery.left)
            self._answers = delivery.error is None
            if not self._answers or len(self._waiting) < ROOMY:
                self._release()
            self._tell_refused(delivery.refused)
            if delivery.error is None:
                backoff.reset()
                continue
            _log.debug("logs not sent: %s", delivery.error)
            pause = backoff.failed()
            if tries is not None and backoff.failures >= tries:
                return
            await asyncio.sleep(pause)
        if self._dropped:
            _log.warning(
                "%d log records were dropped: the Prefect server did not take them in time", self._dropped
            )
            self._dropped = 0
        if not self._waiting:
            self._some.clear()

    def _release(self) -> None:
        held, self._held = self._held, []
        for resume in held:
            resume()

    def _tell_refused(self, refused: list[tuple[dict[str, Any], str]]) -> None:
        """One line for the records of a run; none about such a line, lest it is refused for ever."""
        first: dict[str, str] = {}
        for entry, reason in refused:
            if entry["name"] != NODE_LOGGER and (run_id := entry.get("flow_run_id")):
                first.setdefault(run_id, reason)
        for run_id, reason in first.items():
            count = sum(entry.get("flow_run_id") == run_id for entry, _ in refused)
            self.say(
                run_id, f"{count} log records were refused by the Prefect server: {reason}", logging.WARNING
            )
        if refused:
            _log.warning("%d log records were refused by the Prefect server: %s", len(refused), refused[0][1])

    def _next_batch(self) -> list[dict[str, Any]]:
        batch: list[dict[str, Any]] = []
        size = 0
        while self._waiting and len(batch) < BATCH and size < BATCH_CHARACTERS:
            batch.append(self._waiting.popleft())
            size += len(batch[-1]["message"])
        self._characters -= size
        return batch

    def _put_back(self, batch: list[dict[str, Any]]) -> None:
        self._waiting.extendleft(reversed(batch))
        self._characters += sum(len(entry["message"]) for entry in batch)
        self._bound()

    def _bound(self) -> None:
        while len(self._waiting) > KEPT or self._characters > KEPT_CHARACTERS:
            self._characters -= len(self._waiting.popleft()["message"])
            self._dropped += 1


def _storable(text: str) -> str:
    """Without what no database takes: NUL characters and halves of surrogate pairs."""
    return text.replace("\0", "\\0").encode(errors="replace").decode()


def record(run_id: str, name: str, message: str, level: int) -> dict[str, Any]:
    return {
        "name": name,
        "level": level,
        "message": message,
        "timestamp": datetime.now(UTC).isoformat(),
        "flow_run_id": run_id,
    }
