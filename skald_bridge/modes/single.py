"""single_process: the first entry, in this process, with no server of any kind."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, cast

from prefect.client.schemas.objects import State
from prefect.context import refresh_global_settings_context
from prefect.exceptions import TerminationSignal

from skald_bridge.authoring.workers import TASK_ID_LABEL
from skald_bridge.modes.alive import alive_file
from skald_bridge.modes.jobs import CheckedEntry
from skald_bridge.modes.offline import offline_api

_log = logging.getLogger("skald.single")
FAILED = 1


def run_single(job: CheckedEntry, alive: Path | None = None) -> int:
    """Run a job to its end: 0 completed, 1 failed, 128 + the number of the signal that ended it.

    ``alive`` is a file to be touched meanwhile.
    """
    flow = job.type.flow.with_options(flow_run_name=lambda: job.entry.id)
    _log.info("task %s (%s) starts in this process", job.entry.id, job.type.name)
    try:
        with _terminable(), alive_file(alive), _without_server(job.entry.id):
            state: State[Any] = cast(Any, flow)(job.attachments, return_state=True)
    except (TerminationSignal, KeyboardInterrupt) as ended:
        number = ended.signal if isinstance(ended, TerminationSignal) else signal.SIGINT
        _log.warning("task %s was ended by %s", job.entry.id, signal.Signals(number).name)
        return 128 + number
    _log.info("task %s ended: %s", job.entry.id, state.name)
    return 0 if state.is_completed() else FAILED


@contextlib.contextmanager
def _without_server(task_id: str) -> Iterator[None]:
    """Point this process's Prefect at memory; whatever the environment says of a server is not looked at."""
    with offline_api({TASK_ID_LABEL: task_id}) as url:
        own: dict[str, str | None] = {
            "PREFECT_API_URL": url,
            "PREFECT_API_KEY": None,
            "PREFECT_API_AUTH_STRING": None,
            "PREFECT_LOGGING_TO_API_ENABLED": "false",
            "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        before = {name: os.environ.get(name) for name in own}
        _set_environment(own)
        refresh_global_settings_context()
        try:
            yield
        finally:
            _set_environment(before)
            refresh_global_settings_context()


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM is an exception here, outside Prefect's engine too, so that user code unwinds."""

    def end(number: int, _: FrameType | None) -> None:
        raise TerminationSignal(signal=number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
