import json
import subprocess
from pathlib import Path

from helper import NAME
from prefect import flow

HERE = Path(__file__).parent
COMMIT = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=HERE, text=True).strip()
DATA = HERE.joinpath("data.txt").read_text()


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"name": NAME, "data": DATA, "commit": COMMIT}))
