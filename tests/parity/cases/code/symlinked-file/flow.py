import json
from pathlib import Path

from prefect import flow
from helper import NAME

SETTINGS = json.loads(Path(__file__).with_name("settings.json").read_text())


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"value": [NAME, SETTINGS]}))
