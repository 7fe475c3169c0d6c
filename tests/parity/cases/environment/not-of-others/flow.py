import json
import os
from pathlib import Path

from prefect import flow

TEAM = os.environ.get("TEAM", "none")


@flow
def main(out: str) -> None:
    seen = {"team": TEAM, "now": os.environ.get("TEAM"), "a": os.environ.get("PATH_OF_A")}
    seen["level"] = os.environ.get("PREFECT_LOGGING_LEVEL")
    Path(out, "seen.json").write_text(json.dumps(seen))
