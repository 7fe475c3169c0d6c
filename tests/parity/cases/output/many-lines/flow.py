import json
import os
from pathlib import Path

from prefect import flow


@flow
def main(out: str) -> None:
    print(f"{out}|first")
    for number in range(100_000):
        print(f"line {number}")
    print(f"{out}|last", flush=True)
    Path(out, "seen.json").write_text(json.dumps({"written": True}))
