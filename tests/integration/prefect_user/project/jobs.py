"""Task types of a Prefect user's own project, deployed by the tests."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run
from pydantic import Field

from skald_bridge.authoring import Attachments, Needs, task_type


class Quality(StrEnum):
    DRAFT = "draft"
    FINAL = "final"


class Cut(Attachments):
    """What to cut, and how."""

    title: str = Field("Untitled", description="Shown on the first frame.")
    segment_seconds: int = Field(10, description="Length of a segment in seconds.", ge=1, le=600)
    speed: float = Field(1.0, description="Playback speed; 2 is twice as fast.", gt=0)
    quality: Quality = Field(Quality.DRAFT, description="Draft is fast, final is good.")
    keep_sound: bool = Field(True, description="Copy the sound track.")
    labels: list[str] = Field(default_factory=lambda: ["family"], description="Words to find it by.")


class Wait(Attachments):
    """Waits for a file."""

    until: str = Field("", description="Path of the file to wait for; empty does not wait.")
    log: str = Field("", description="Path of a file that gets a line at start and end.")
    fail_first: bool = Field(False, description="Fail until the run is tried again.")


AT_ONCE = Wait()


@task
def measure(seconds: int) -> int:
    return seconds


@task
def cut_segment(number: int, seconds: int) -> int:
    return number * seconds


@task
def merge(parts: list[int]) -> int:
    return sum(parts)


@task_type(name="cut", needs=Needs(cpus=0.5, memory="64MB"))
def cut(attachments: Cut) -> int:
    """Cuts a title into segments."""
    length = measure.submit(attachments.segment_seconds)
    parts = [cut_segment.submit(number, length) for number in range(3)]
    total = merge(parts)
    create_markdown_artifact(
        f"# {attachments.title}\n\n{total} seconds, {attachments.quality}.", key="cut-report"
    )
    return total


@task_type(name="wait", needs=Needs(cpus=0.1))
def wait(attachments: Wait = AT_ONCE) -> int:
    """Holds its place until a file is there."""
    note(attachments, "start")
    if attachments.fail_first and flow_run.run_count == 1:
        raise RuntimeError("the first try fails as told")
    while attachments.until and not Path(attachments.until).exists():
        time.sleep(0.05)
    note(attachments, "end")
    return 1


def note(attachments: Wait, what: str) -> None:
    if attachments.log:
        with Path(attachments.log).open("a") as log:
            log.write(f"{what} {flow_run.id} {flow_run.run_count}\n")
