import json
from pathlib import Path

from prefect import flow

from skald_bridge.authoring import progress


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"begun": True}))
    for frame in range(50):
        progress(frame, 50)
    progress(50, 50, "done")
