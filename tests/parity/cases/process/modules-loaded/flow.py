import json
import sys
from pathlib import Path

BEFORE = set(sys.modules)

from prefect import flow

OURS = ("skald_bridge", "skald_work_pools", "skald_blocks", "flows", "numpy", "pandas", "psutil", "av", "PIL")


@flow
def main(out: str) -> None:
    seen = {
        "loaded": sorted(name for name in OURS if name in BEFORE),
        "main": sorted(name for name in BEFORE if name in ("runpy", "prefect.engine", "multiprocessing")),
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
