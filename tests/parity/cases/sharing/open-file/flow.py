import json
from pathlib import Path

from prefect import flow

NAMES = open(Path(__file__).with_name("names.txt"))


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"name": NAMES.readline().strip()}))
