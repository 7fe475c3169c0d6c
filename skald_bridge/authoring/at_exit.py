"""The end of a process, as writers in the background meet it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from prefect.events.worker import EventsWorker

ending = threading.Event()
"""Set when the process ends: what waits for a better moment does so no longer."""


def finish_in_time(finish: Callable[[], None]) -> None:
    """Have ``finish`` called when the process ends, while what it writes can still become Prefect's events.

    Prefect's sender stops before ordinary exit handlers run and threads are joined; handlers of this kind run in
    the reverse order of their registration. Without effect when the process is ending already.
    """

    def end() -> None:
        ending.set()
        finish()

    EventsWorker.instance()
    with suppress(RuntimeError):
        threading._register_atexit(end)  # type: ignore[attr-defined]  # noqa: SLF001
