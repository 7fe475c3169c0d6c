"""The tasks that are run under faults; each says by itself when its user code begins."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from prefect.runtime import flow_run

from skald_bridge.authoring import Attachments, Needs, live, task_type

STEP = 0.05


class Job(Attachments):
    folder: str
    seconds: float = 0.1
    level: int = 0


class Whole(Attachments):
    folder: str


def begin(folder: str) -> None:
    """One appended line: nobody else's word is needed for how often a task ran."""
    line = json.dumps({"task": str(flow_run.id), "pid": os.getpid(), "at": time.time()}) + "\n"
    stamps = os.open(Path(folder) / "stamps", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(stamps, line.encode())
    os.close(stamps)


def work(attachments: Job) -> int:
    begin(attachments.folder)
    newest = live(attachments)
    until = time.monotonic() + attachments.seconds
    while time.monotonic() < until:
        time.sleep(STEP)
        newest.value  # noqa: B018
    return newest.value.level


@task_type(name="steady", needs=Needs(cpus=0.01), retries=2)
def steady(attachments: Job) -> int:
    return work(attachments)


@task_type(name="once", needs=Needs(cpus=0.01))
def once(attachments: Job) -> int:
    return work(attachments)


@task_type(name="flaky", needs=Needs(cpus=0.01), retries=3)
def flaky(attachments: Job) -> int:
    level = work(attachments)
    try:
        (Path(attachments.folder) / f"failed-{flow_run.id}").touch(exist_ok=False)
    except FileExistsError:
        return level
    raise RuntimeError("it fails the first time")


@task_type(name="whole", needs=Needs(cpus=1))
def whole(attachments: Whole) -> None:
    begin(attachments.folder)
