import json
import os
import subprocess
from pathlib import Path

from prefect import flow

NAMES = ("GREETING", "LEVEL", "EMPTY", "ONLY")


def state() -> list:
    return [os.environ.get(name) for name in NAMES]


AT_IMPORT = state()


@flow
def main(out: str) -> None:
    listed = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout.splitlines()
    child = sorted(line for line in listed if line.partition("=")[0] in NAMES)
    Path(out, "seen.json").write_text(
        json.dumps({"at_import": AT_IMPORT, "now": state(), "child": child, "home": "HOME" in os.environ})
    )
