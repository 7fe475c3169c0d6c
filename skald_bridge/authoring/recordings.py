"""``recorded(path, start=…)``: one Prefect artifact per finished recording, written in the background."""

from __future__ import annotations

import contextvars
import logging
import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate

from skald_bridge.authoring.at_exit import ending, finish_in_time
from skald_bridge.authoring.context import current_run
from skald_bridge.authoring.progress import plain_http
from skald_bridge.domain.errors import InvalidInput
from skald_work_pools.messages import RECORDING
from skald_work_pools.retrying import unanswered

KEPT = 100_000
"""Recordings that wait while Prefect does not answer; the oldest go first."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
LAST_SECONDS = 20.0
"""How long an ending process goes on trying."""
_log = logging.getLogger("skald.recordings")


@dataclass(frozen=True)
class Payload:
    """What is written of one recording."""

    data: dict[str, Any]
    text: str


def recorded(path: str, *, start: datetime, seconds: float, codec: str = "", size: int = 0) -> None:
    """Say that a recording is finished; returns at once, whatever Prefect does.

    Args:
        path: where it is, a local path or a URL without credentials.
        start: when its first picture was taken; without a time zone it is local time.
        seconds: its length.
        codec: such as ``h264/aac``.
        size: bytes.

    Outside a run it is only logged. ``all_recorded`` waits for what is still to be written.

    Raises:
        InvalidInput: ``seconds`` is negative or no number.
    """
    made = told(path, start, seconds, codec, size)
    run = current_run()
    if run is None:
        _log.info("%s", made.text)
        return
    with _lock:
        writer = _writers.get(run.id)
        if writer is None:
            writer = _writers[run.id] = _Writer(run.id)
            finish_in_time(writer.finish)
    writer.submit(made)


def all_recorded(timeout: float = 20.0) -> bool:
    """Wait until Prefect has all recordings of this run, at most ``timeout`` seconds; whether it has.

    Call it before the flow returns: who reads Prefect when the run has ended then finds them all.
    """
    run = current_run()
    with _lock:
        writer = _writers.get(run.id) if run is not None else None
    return writer is None or writer.written(timeout)


def told(path: str, start: datetime, seconds: float, codec: str, size: int) -> Payload:
    if not (math.isfinite(seconds) and seconds >= 0):
        raise InvalidInput(
            f"seconds: {seconds} is no length", remedy="Give the recording's seconds, 0 or more."
        )
    at = start.astimezone(UTC).isoformat()
    length = round(seconds, 3)
    path = path.encode(errors="backslashreplace").decode()
    data = {"path": path, "start": at, "seconds": length, "codec": codec, "size": size}
    kind = f", {codec}" if codec else ""
    return Payload(data, f"{path}: {length:g} s from {at}{kind}, {size} bytes")


class _Writer:
    """Writes in order on a short-lived, non-daemon thread, so that the last one is written."""

    def __init__(self, run_id: UUID) -> None:
        self._run_id = run_id
        self._waiting: deque[Payload] = deque()
        self._busy = False
        self._idle = threading.Condition()

    def submit(self, made: Payload) -> None:
        with self._idle:
            self._waiting.append(made)
            if len(self._waiting) > KEPT:
                lost = self._waiting.popleft()
                _log.warning("not told to Prefect, which does not answer: %s", lost.text)
            if self._busy:
                return
            self._busy = True
        inherited = contextvars.copy_context()
        threading.Thread(target=inherited.run, args=(self._write_all,), name="skald-recordings").start()

    def finish(self) -> None:
        """Wait until all is written or given up."""
        with self._idle:
            self._idle.wait_for(lambda: not self._busy)

    def written(self, timeout: float) -> bool:
        with self._idle:
            return self._idle.wait_for(lambda: not self._busy, timeout)

    def _write_all(self) -> None:
        pause, given_up = FIRST_PAUSE, float("inf")
        while (made := self._next()) is not None:
            try:
                self._write(made)
            except Exception as error:
                _log.debug("recording not written", exc_info=True)
                last = time.monotonic() + LAST_SECONDS
                given_up = min(given_up, last) if ending.is_set() else float("inf")
                if _refused(error) or time.monotonic() > given_up:
                    _log.warning("not told to Prefect (%s): %s", error, made.text)
                    self._drop(made)
                else:
                    _wait(pause)
                    pause = min(LONGEST_PAUSE, 2 * pause)
            else:
                self._drop(made)
                pause = FIRST_PAUSE

    def _next(self) -> Payload | None:
        with self._idle:
            if self._waiting:
                return self._waiting[0]
            self._busy = False
            self._idle.notify_all()
            return None

    def _drop(self, made: Payload) -> None:
        with self._idle:
            if self._waiting and self._waiting[0] is made:
                self._waiting.popleft()

    def _write(self, made: Payload) -> None:
        # A client of its own: the run's client belongs to the run's thread and closes with it.
        with get_client({"timeout": 10.0, **plain_http()}, sync_client=True) as client:
            client.create_artifact(
                ArtifactCreate(
                    type=RECORDING, description=made.text, data=made.data, flow_run_id=self._run_id
                )
            )


def _refused(error: Exception) -> bool:
    """Whether trying again is of no use."""
    away = isinstance(error, OSError) or (isinstance(error, httpx.HTTPError) and unanswered(error))
    return not away


def _wait(seconds: float) -> None:
    """The process's end cuts it short, once."""
    if ending.is_set():
        time.sleep(seconds)
    else:
        ending.wait(seconds)


_lock = threading.Lock()
_writers: dict[UUID, _Writer] = {}
