import json
import os
from pathlib import Path

from prefect import flow


@flow
def main(out: str) -> None:
    Path("made_here").write_text("")
    seen = {"cwd": os.getcwd(), "made": Path(__file__).with_name("made_here").exists()}
    Path(out, "seen.json").write_text(json.dumps(seen))
