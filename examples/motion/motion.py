"""When something moves in a video."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
from pydantic import Field

from skald_bridge.authoring import CAN_CHANGE, Attachments, Needs, live, progress, task_type

WIDTH, HEIGHT = 64, 36


class Motion(Attachments):
    video: str = Field(description="A file, or whatever else ffmpeg opens.")
    threshold: float = Field(
        0.02,
        gt=0,
        lt=1,
        description="Part by which a picture must differ from the one before it. Can change while it runs.",
        json_schema_extra=CAN_CHANGE,
    )


@task_type(name="motion", needs=Needs(cpus=1, memory="300MiB"), retries=2, retry_delay_seconds=10)
def motion(attachments: Motion) -> list[float]:
    """The seconds at which pictures differ from those before them."""
    moments = []
    with live(attachments) as newest:
        for at, change, done in changes(attachments.video):
            if change > newest.value.threshold:
                moments.append(round(at, 2))
            progress(done, 1, f"{len(moments)} moments")
    return moments


def changes(video: str) -> Iterator[tuple[float, float, float]]:
    """Second, difference from the picture before (0 to 1), and how much of the video is done (0 to 1)."""
    with av.open(video) as container:
        length = (container.duration or 0) / av.time_base
        before = None
        for frame in container.decode(video=0):
            gray = frame.reformat(WIDTH, HEIGHT, "gray").to_ndarray().astype(np.float32) / 255
            at = float(frame.time or 0)
            if before is not None:
                yield at, float(np.abs(gray - before).mean()), min(1.0, at / length) if length else 0.0
            before = gray
