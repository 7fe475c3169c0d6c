import json
from pathlib import Path

from prefect import flow

try:
    from local_settings import COLOUR
except ImportError:
    COLOUR = "grey"


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"colour": COLOUR}))
