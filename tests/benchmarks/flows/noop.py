"""Two flows that say when user code began, in which process, by one appended line."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from prefect import flow, runtime


@flow
def noop(stamps: str) -> None:
    stamp(time.time(), stamps)


@flow
def sleeper(stamps: str, until: str) -> None:
    """Runs until the file ``until`` exists."""
    stamp(time.time(), stamps)
    while not Path(until).exists():
        time.sleep(0.05)


def stamp(now: float, stamps: str) -> None:
    """Say that this process reached user code at ``now``."""
    line = json.dumps({"run": str(runtime.flow_run.id), "at": now, "pid": os.getpid()})
    file = os.open(stamps, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, f"{line}\n".encode())
    os.close(file)
