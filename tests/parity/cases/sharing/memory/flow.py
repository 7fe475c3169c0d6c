import json
import mmap
import multiprocessing
from pathlib import Path

from prefect import flow

COUNTER = multiprocessing.Value("i", 0)
MAPPING = mmap.mmap(-1, 4096)
SEMAPHORE = multiprocessing.BoundedSemaphore(2)
CALLS = []


@flow
def main(out: str) -> None:
    with COUNTER.get_lock():
        COUNTER.value += 1
    MAPPING[0] += 1
    CALLS.append(1)
    seen = {
        "counter": COUNTER.value,
        "mapping": MAPPING[0],
        "semaphore": SEMAPHORE.acquire(timeout=1),
        "calls": len(CALLS),
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
