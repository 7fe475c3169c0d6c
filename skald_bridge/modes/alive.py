"""A file that is touched while a task runs, for whoever watches from outside: a kubelet's probes."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from skald_bridge.domain.errors import InvalidInput

PERIOD = 5.0


@contextlib.contextmanager
def alive_file(path: Path | None) -> Iterator[None]:
    """The file holds this process' id, is touched every 5 seconds and gone afterwards; ``None`` makes none.

    Raises:
        InvalidInput: it cannot be written.
    """
    if path is None:
        yield
        return
    try:
        path.write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written: {error.strerror}.", remedy="Correct alive_file (SKALD_ALIVE_FILE)."
        ) from error
    ended = threading.Event()

    def touch() -> None:
        while not ended.wait(PERIOD):
            # A file that is away makes its watcher act; there is nothing else to do about it.
            with contextlib.suppress(OSError):
                os.utime(path)

    thread = threading.Thread(target=touch, name="alive-file", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        path.unlink(missing_ok=True)
