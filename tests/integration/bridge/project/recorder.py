"""A task that records when it begins and when it is stopped."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from skald_bridge.authoring import Attachments, all_recorded, recorded, task_type


class Recorder(Attachments):
    folder: str


@task_type(name="recorder")
def recorder(attachments: Recorder) -> None:
    recorded(f"{attachments.folder}/1.mp4", start=datetime.now(UTC), seconds=1.0, codec="h264", size=10)
    try:
        while True:
            time.sleep(0.05)
    finally:
        recorded(f"{attachments.folder}/2.mp4", start=datetime.now(UTC), seconds=1.0, codec="h264", size=10)
        all_recorded()
