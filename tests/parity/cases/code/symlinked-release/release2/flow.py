import json
import os
from pathlib import Path

from number import NUMBER
from prefect import flow


@flow
def main(out: str) -> None:
    seen = {"number": NUMBER, "cwd": os.getcwd(), "file": __file__}
    Path(out, "seen.json").write_text(json.dumps(seen))
