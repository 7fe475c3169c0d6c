import importlib
import json
import sys
from pathlib import Path

from prefect import flow

sys.path.insert(0, str(Path(__file__).parent / ("a" * 100) / ("b" * 100)))
TOTAL = sum(importlib.import_module(f"many.m{number}").N for number in range(1, 4101))


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"total": TOTAL}))
