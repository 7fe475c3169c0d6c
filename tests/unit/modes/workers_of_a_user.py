"""A module as a Skalds user has it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from skald_bridge.authoring import Attachments, task_type
from skald_bridge.skalds import BaseTaskWorker, run_main_handler


class Camera(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    rtsp_url: str = Field(alias="rtspUrl")
    fix_frame: int = Field(30, alias="fixFrame", ge=1)


class MyWorker(BaseTaskWorker[Camera]):
    def initialize(self, data: Camera) -> None: ...

    @run_main_handler
    def main(self) -> None: ...


class Sleep(Attachments):
    how_long: float = 0.0


@task_type(name="sleep-a-while")
def sleep_a_while(attachments: Sleep) -> None: ...


def helper() -> int:
    return 1
