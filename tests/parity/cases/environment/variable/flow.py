import json
import os
from pathlib import Path

from prefect import flow

AT_IMPORT = os.environ.get("GREETING")


@flow
def main(out: str) -> None:
    seen = {"at_import": AT_IMPORT, "in_flow": os.environ.get("GREETING")}
    Path(out, "seen.json").write_text(json.dumps(seen))
