"""SIGTERM, SIGINT and SIGHUP as one event, for as long as a mode runs."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopSignal:
    """Set once the process is told to stop; ``on_stop`` callbacks are called then, or at once."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._callbacks: list[Callable[[], None]] = []

    @property
    def asked(self) -> bool:
        return self._event.is_set()

    def ask(self) -> None:
        self._event.set()
        for call in self._callbacks:
            call()

    def on_stop(self, call: Callable[[], None]) -> None:
        self._callbacks.append(call)
        if self.asked:
            call()


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopSignal]:
    """Main thread only."""
    stop = StopSignal()

    def ask(_: int, __: FrameType | None) -> None:
        stop.ask()

    before = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
