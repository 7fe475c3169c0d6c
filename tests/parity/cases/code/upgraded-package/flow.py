import json
from pathlib import Path

from prefect import flow
from importlib.metadata import version

import ours

VERSION = version("ours")


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"value": [ours.VALUE, VERSION]}))
