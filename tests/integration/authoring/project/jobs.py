"""What an author would write; deployed by the tests as any Prefect project is."""

from __future__ import annotations

import time
from pathlib import Path

from prefect import task
from pydantic import Field

from skald_bridge.authoring import Attachments, Needs, Reject, live, progress, task_type


class Watch(Attachments):
    """What to watch, and how fast."""

    out_file: str = Field("", description="Every value seen is appended here.")
    frame_rate: int = Field(25, description="Frames a second.", ge=1, le=240)
    stop: bool = False


@task(retries=1)
def double(number: int) -> int:
    return 2 * number


@task_type(name="watch", needs=Needs(cpus=0.5), retries=1, retry_delay_seconds=0)
def watch(attachments: Watch) -> int:
    """Appends every new frame rate until told to stop."""
    with live(attachments) as settings:
        seen = 0
        while not settings.current().stop:
            value = settings.value
            if value.frame_rate != seen:
                seen = value.frame_rate
                with Path(value.out_file).open("a") as out:
                    out.write(f"{time.time()} {seen} {settings.revision}\n")
                progress(seen, 240, "frames")
            settings.wait(0.5)
    progress(240, 240, "done")
    return double(seen)


@task_type(name="watch-async")
async def watch_async(attachments: Watch) -> int:
    with live(attachments) as settings:

        @settings.on_update
        def judge(value: Watch) -> None:
            if value.frame_rate > 100:
                raise Reject("this lens stops at 100")

        while not settings.value.stop:
            await settings.wait_async(0.2)
    return settings.value.frame_rate
