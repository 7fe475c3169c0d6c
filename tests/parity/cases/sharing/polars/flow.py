import json
from pathlib import Path

import polars as pl
from prefect import flow

FRAME = pl.DataFrame({"team": ["a", "b"] * 5000, "points": range(10000)})
TOTALS = FRAME.group_by("team").agg(pl.col("points").sum()).sort("team")


@flow
def main(out: str) -> None:
    means = FRAME.group_by("team").agg(pl.col("points").mean()).sort("team")
    seen = {"totals": TOTALS["points"].to_list(), "means": means["points"].to_list()}
    Path(out, "seen.json").write_text(json.dumps(seen))
