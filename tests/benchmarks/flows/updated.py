"""A task type that says when its user code sees an update: one appended line each."""

from __future__ import annotations

import json
import time
from pathlib import Path

from skald_bridge.authoring import Attachments, live, task_type


class Updated(Attachments):
    stamps: str
    sent: float = 0.0
    stop: bool = False


@task_type(name="updated")
def updated(attachments: Updated) -> None:
    with live(attachments) as settings, Path(attachments.stamps).open("a") as out:
        out.write("ready\n")
        out.flush()
        for value in settings:
            line = {"sent": value.sent, "seen": time.time(), "revision": settings.revision}
            out.write(json.dumps(line) + "\n")
            out.flush()
            if value.stop:
                return
