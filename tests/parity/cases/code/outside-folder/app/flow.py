import json
import sqlite3
from pathlib import Path

from prefect import flow

SHARED = Path(__file__).parents[1] / "shared"
CONFIG = SHARED.joinpath("config").read_text().strip()
with sqlite3.connect(SHARED / "ours.db") as database:
    NUMBER = database.execute("select n from t").fetchone()[0]
database.close()


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"config": CONFIG, "number": NUMBER}))
