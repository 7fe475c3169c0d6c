import json
import time
from pathlib import Path

from prefect import flow

NAME = f"report-{time.time_ns()}.csv"


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"name": NAME}))
