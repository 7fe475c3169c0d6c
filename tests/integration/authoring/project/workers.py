"""A class written for Skalds, on whichever base is installed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from skald_bridge.authoring import flow_from_worker

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


class Data(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    out_file: str = Field(alias="outFile")
    seconds: float = 0.0
    speed: int = 1
    breaks: str = ""


class Stamper(BaseTaskWorker[Data]):
    """Stamps every step of its life into a file."""

    def initialize(self, data: Data) -> None:
        self.data = data
        self.stamp("initialize", data.speed)

    def stamp(self, *words: Any) -> None:
        with Path(self.data.out_file).open("a") as out:
            out.write(" ".join(str(word) for word in words) + "\n")

    @run_before_handler
    def before(self) -> None:
        self.stamp("before")

    @run_main_handler
    def main(self) -> None:
        self.stamp("main", self.task_id)
        end = time.monotonic() + self.data.seconds
        while time.monotonic() < end:
            time.sleep(0.05)
        if self.data.breaks:
            raise ValueError(self.data.breaks)

    @run_after_handler
    def after(self) -> None:
        self.stamp("after")

    @release_handler
    def release(self, *arguments: Any) -> None:
        self.stamp("release", *(str(int(each)) for each in arguments[:1]))

    @update_event_handler
    def update(self, data: Data) -> None:
        self.stamp("update", data.speed)


stamper = flow_from_worker(Stamper)
