"""Task workers as Skalds' documents describe them, for whichever of the two bases is installed.

Each step of their lives is one line of the file ``STAMPS``: Unix time, step, task, process, node, detail.
"""

from __future__ import annotations

import os
import time
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

try:
    from skalds.worker.baseclass import (
        BaseTaskWorker,
        release_handler,
        run_after_handler,
        run_before_handler,
        run_main_handler,
        update_event_handler,
    )
except ModuleNotFoundError:
    from skald_bridge.authoring.skalds import (
        BaseTaskWorker,
        release_handler,
        run_after_handler,
        run_before_handler,
        run_main_handler,
        update_event_handler,
    )


class Work(BaseModel):
    """``seconds`` of work, which fails at its end with the text ``breaks``; ``frameRate`` is there to be changed."""

    model_config = ConfigDict(populate_by_name=True)
    seconds: float = 0.0
    frame_rate: int = Field(25, alias="frameRate")
    breaks: str = ""


class Camera(BaseTaskWorker[Work]):
    """A worker that both kinds of nodes have."""

    def initialize(self, data: Work) -> None:
        self.data = data

    @run_before_handler
    def before(self) -> None:
        self.stamp("before")

    @run_main_handler
    def main(self) -> None:
        self.stamp("main")
        end = time.monotonic() + self.data.seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
        if self.data.breaks:
            raise ValueError(self.data.breaks)
        self.stamp("done")

    @run_after_handler
    def after(self) -> None:
        self.stamp("after")

    @release_handler
    def release(self, *signalled: Any) -> None:
        self.stamp("release", "signal" if signalled else "")

    @update_event_handler
    def update(self, data: Work) -> None:
        self.stamp("update", str(data.frame_rate))

    def stamp(self, step: str, detail: str = "") -> None:
        line = f"{time.time():.6f} {step} {self.task_id} {os.getpid()} {os.environ['STAMPED_BY']} {detail}\n"
        file = os.open(os.environ["STAMPS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, line.encode())
        os.close(file)


class Recorder(Camera):
    """A worker of both that is to be started again when its node dies."""


class PeerCamera(Camera):
    """Only nodes of the real skalds are given this one."""


class HouseCamera(Camera):
    """Only this product's nodes are given this one."""
