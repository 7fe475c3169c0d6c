import json
from pathlib import Path

from prefect import flow


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"ran": True}))
