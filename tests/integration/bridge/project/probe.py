"""A task type that can be watched, updated, paused and made to fail."""

from __future__ import annotations

import os
import time
from pathlib import Path

from prefect import task
from pydantic import Field

from skald_bridge.authoring import Attachments, Needs, live, progress, task_type


class Probe(Attachments):
    until: str = Field("", description="Runs until this file is there; empty ends at once.")
    step: int = Field(1, ge=1)
    fail: bool = False


@task
def measure(step: int) -> int:
    return step


@task_type(name="probe", needs=Needs(cpus=0.1))
def probe(attachments: Probe) -> int:
    newest = live(attachments)
    if attachments.until:
        Path(f"{attachments.until}.pid").write_text(str(os.getpid()))
    measure(newest.value.step)
    done = 0
    while attachments.until and not Path(attachments.until).exists():
        done += newest.value.step
        progress(done % 100, 100, f"step {newest.value.step}")
        time.sleep(0.02)
    if newest.value.fail:
        raise ValueError("it was told to fail")
    return done
