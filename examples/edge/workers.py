"""A Skalds worker class, as it is; only the import is another."""

from __future__ import annotations

import time

from pydantic import BaseModel, ConfigDict, Field

from skald_bridge.skalds import BaseTaskWorker, run_main_handler, update_event_handler


class Watch(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    name: str
    fix_frame: int = Field(25, alias="fixFrame")
    times: int = 3


class Watcher(BaseTaskWorker[Watch]):
    """Says what it would do with a camera."""

    def initialize(self, data: Watch) -> None:
        self.data = data

    @run_main_handler
    def main(self) -> None:
        for number in range(1, self.data.times + 1):
            print(
                f"{self.data.name}: look {number} of {self.data.times} at {self.data.fix_frame} pictures a second"
            )
            time.sleep(0.1)

    @update_event_handler
    def update(self, data: Watch) -> None:
        self.data = data
