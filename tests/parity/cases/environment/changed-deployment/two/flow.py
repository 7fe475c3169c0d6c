import json
import os
from pathlib import Path

from prefect import flow

AT_IMPORT = os.environ.get("GREETING")


def tell(out: str, name: str) -> None:
    seen = {"at_import": AT_IMPORT, "gone": os.environ.get("GONE"), "flow": f"two {name}", "cwd": os.getcwd()}
    Path(out, "seen.json").write_text(json.dumps(seen))


@flow
def main(out: str) -> None:
    tell(out, "main")


@flow
def other(out: str) -> None:
    tell(out, "other")
