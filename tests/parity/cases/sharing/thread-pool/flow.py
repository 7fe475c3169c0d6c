import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prefect import flow

POOL = ThreadPoolExecutor(4)
TABLE = list(POOL.map(lambda number: number * 2, range(8)))


@flow
def main(out: str) -> None:
    doubled = list(POOL.map(lambda number: number * 2, TABLE))
    Path(out, "seen.json").write_text(json.dumps({"doubled": doubled}))
