"""``python -m skald_bridge.installation.embedded_server``: ``prefect server start``, garbage collected beside its loop.

Collecting a forgotten SQLite cursor waits while its connection is busy in another thread: up to Prefect's 60 s
busy timeout, when that thread waits for a write lock. On the loop's own thread that is a deadlock, because the
lock's holder needs the loop. On a thread of its own it is a pause that nobody notices.
"""

from __future__ import annotations

import gc
import runpy
import sys
import threading

from skald_bridge.installation import embedded_database, embedded_schemas

COLLECT_EVERY = 5.0
SETTLED_AFTER = 30.0
"""Seconds; what is alive then (modules, models, routes) stays, and is not looked at again."""


def main() -> None:
    """Takes the options of ``prefect server start``."""
    embedded_database.install()
    embedded_schemas.install()
    gc.disable()
    threading.Thread(target=_collect, name="garbage", daemon=True).start()
    sys.argv = ["prefect", "server", "start", *sys.argv[1:]]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


def _collect() -> None:
    pause = threading.Event()
    pause.wait(SETTLED_AFTER)
    gc.collect()
    gc.freeze()
    while not pause.wait(COLLECT_EVERY):
        gc.collect()


if __name__ == "__main__":
    main()
