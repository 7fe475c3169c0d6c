import json
from pathlib import Path

from prefect import flow
from helper import NAME


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"value": NAME}))
