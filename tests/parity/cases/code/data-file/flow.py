import json
from pathlib import Path

from prefect import flow

QUERY = Path(__file__).with_name("query.sql").read_text()


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"query": QUERY}))
