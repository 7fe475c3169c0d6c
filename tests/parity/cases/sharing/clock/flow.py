import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run
from pydantic import BaseModel

STARTED = time.time()
MONOTONIC = time.monotonic()
BATCH = f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"


def default(now: datetime = datetime.now(UTC)) -> str:
    return now.isoformat()


@dataclass
class Row:
    at: float = time.time()


class Model(BaseModel):
    at: datetime = datetime.now(UTC)


@flow
def main(out: str) -> None:
    created = flow_run.scheduled_start_time
    seen = {
        "time": STARTED,
        "monotonic": MONOTONIC,
        "day": BATCH,
        "default": default(),
        "field": Row().at,
        "model": str(Model().at),
        "after_creation": STARTED > created.timestamp(),
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
