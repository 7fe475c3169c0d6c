import json
import sys
from pathlib import Path

from prefect import flow


@flow
def main(out: str) -> None:
    print("x" * 5_000_000)
    print("y" * 5_000_000, file=sys.stderr)
    print(f"{out}|after it", flush=True)
    Path(out, "seen.json").write_text(json.dumps({"written": True}))
