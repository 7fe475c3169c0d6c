import json
from pathlib import Path

from prefect import flow


@flow(name="made elsewhere")
def elsewhere(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"module": __name__}))
