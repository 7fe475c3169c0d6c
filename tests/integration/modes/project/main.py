"""What a Skalds user has: classes, registration and run() at the top level, without a __main__ guard."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from skald_bridge.skalds import (
    BaseTaskWorker,
    SkaldConfig,
    Skalds,
    release_handler,
    run_before_handler,
    run_main_handler,
    update_event_handler,
)

STAMPS = Path(os.environ.get("STAMPS", "stamps"))


def stamp(*words: object) -> None:
    with STAMPS.open("a") as out:
        out.write(" ".join(str(word) for word in words) + "\n")


class MyData(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    rtsp_url: str = Field(alias="rtspUrl")
    fix_frame: int = Field(alias="fixFrame")


class MyWorker(BaseTaskWorker[MyData]):
    """Watches a camera; ends by itself when told so by a file beside the stamps."""

    def initialize(self, data: MyData) -> None:
        self.data = data

    @run_before_handler
    def before(self) -> None:
        stamp(self.task_id, "before", self.data.fix_frame, os.getpid())

    @run_main_handler
    def main(self) -> None:
        stamp(self.task_id, "main", self.data.rtsp_url)
        while not STAMPS.with_suffix(".end").exists():
            time.sleep(0.02)
        if STAMPS.with_suffix(".end").read_text() == "fail":
            raise ValueError("lens cap on")

    @release_handler
    def release(self, *arguments: object) -> None:
        stamp(self.task_id, "release", len(arguments))

    @update_event_handler
    def update(self, data: MyData) -> None:
        stamp(self.task_id, "update", data.fix_frame)


class SubTask(BaseModel):
    name: str
    duration: float
    fail_chance: float


class ComplexData(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    job_id: str = Field(alias="jobId")
    retries: int
    sub_tasks: list[SubTask]


class ComplexWorker(BaseTaskWorker[ComplexData]):
    def initialize(self, data: ComplexData) -> None:
        self.data = data

    @run_main_handler
    def main(self) -> None:
        for each in self.data.sub_tasks:
            time.sleep(each.duration)
            stamp(self.task_id, each.name.replace(" ", "-"))


app = Skalds(SkaldConfig())
app.register_task_worker(MyWorker)
app.register_task_worker(ComplexWorker)
app.run()
stamp("after-run")
