import json
from pathlib import Path

from prefect import flow

OVERRIDE = Path(__file__).with_name("override").exists()


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"value": OVERRIDE}))
