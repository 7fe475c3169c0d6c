import json
import time
from datetime import UTC, datetime
from pathlib import Path

from prefect import flow


def state() -> list:
    return [
        time.tzname[0],
        time.timezone,
        str(datetime.fromtimestamp(0)),
        time.strftime("%z", time.localtime(0)),
    ]


AT_IMPORT = state()


@flow
def main(out: str) -> None:
    seen = {
        "at_import": AT_IMPORT,
        "in_flow": state(),
        "zone": str(datetime.fromtimestamp(0, UTC).astimezone()),
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
