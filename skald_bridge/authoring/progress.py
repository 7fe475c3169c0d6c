"""``progress(done, total, message)``: one Prefect progress artifact per run, written in the background."""

from __future__ import annotations

import contextvars
import logging
import threading
from dataclasses import dataclass
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
)
from prefect.settings import get_current_settings

from skald_bridge.authoring.at_exit import ending, finish_in_time
from skald_bridge.authoring.context import current_run
from skald_work_pools.retrying import unanswered

INTERVAL = 0.5
"""Least seconds between two writes."""
_ATTEMPTS = 3
_log = logging.getLogger("skald.progress")


@dataclass(frozen=True)
class Report:
    """``percent`` is 0…100."""

    percent: float
    text: str


def report(done: float, total: float | None, message: str) -> Report:
    """What is shown: ``30 of 120: message``; a ``total`` of None or 0 means that the end is not known."""
    share = min(max(done / total, 0.0), 1.0) if total else 0.0
    count = f"{done:g} of {total:g}" if total else f"{done:g}"
    return Report(round(100 * share, 2), f"{count}: {message}" if message else count)


def progress(done: float, total: float | None = None, message: str = "") -> None:
    """Say how far the task is; cheap enough for every frame.

    At most one write in half a second reaches Prefect, the last one always. Outside a run it is only logged.
    """
    made = report(done, total, message)
    run = current_run()
    if run is None:
        _log.info("%s", made.text)
        return
    with _lock:
        writer = _writers.get(run.id)
        if writer is None:
            writer = _writers[run.id] = _Writer(run.id, again=run.count > 1)
            finish_in_time(writer.finish)
    writer.submit(made)


class _Writer:
    """Writes the newest report on a short-lived, non-daemon thread, so that the last one is written."""

    def __init__(self, run_id: UUID, again: bool) -> None:
        self._run_id = run_id
        self._again = again
        self._artifact: UUID | None = None
        self._next: Report | None = None
        self._busy = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, made: Report) -> None:
        with self._lock:
            self._next = made
            if self._busy:
                return
            self._busy = True
            inherited = contextvars.copy_context()
            self._thread = threading.Thread(
                target=inherited.run, args=(self._write_all,), name="skald-progress"
            )
            self._thread.start()

    def finish(self) -> None:
        """Wait for the last report."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _write_all(self) -> None:
        failures = 0
        while (made := self._take()) is not None:
            try:
                self._write(made)
                failures = 0
            except Exception as error:
                # Whatever it is, a flow does not end for it.
                failures += 1
                away = isinstance(error, httpx.HTTPError) and unanswered(error)
                _log.log(logging.DEBUG if away else logging.WARNING, "progress not written: %r", error)
                if away and failures < _ATTEMPTS:
                    self._put_back(made)
            ending.wait(INTERVAL)

    def _take(self) -> Report | None:
        with self._lock:
            made, self._next = self._next, None
            self._busy = made is not None
            return made

    def _put_back(self, made: Report) -> None:
        with self._lock:
            self._next = self._next or made

    def _write(self, made: Report) -> None:
        key = f"progress-{self._run_id}"
        # A client of its own: the run's client belongs to the run's thread and closes with it.
        with get_client({"timeout": 10.0, **plain_http()}, sync_client=True) as client:
            if self._artifact is None and self._again:
                found = client.read_artifacts(
                    artifact_filter=ArtifactFilter(
                        key=ArtifactFilterKey(any_=[key]),
                        flow_run_id=ArtifactFilterFlowRunId(any_=[self._run_id]),
                    ),
                    limit=1,
                )
                self._artifact = found[0].id if found else None
                self._again = False
            if self._artifact is None:
                created = client.create_artifact(
                    ArtifactCreate(
                        type="progress",
                        key=key,
                        description=made.text,
                        data=made.percent,
                        flow_run_id=self._run_id,
                    )
                )
                self._artifact = created.id
            else:
                client.update_artifact(
                    self._artifact, ArtifactUpdate(description=made.text, data=made.percent)
                )


def plain_http() -> dict[str, bool]:
    """Options of a client that needs no TLS: making its context takes as long as a request."""
    url = get_current_settings().api.url or ""
    return {"verify": False} if url.startswith("http://") else {}


_lock = threading.Lock()
_writers: dict[UUID, _Writer] = {}
