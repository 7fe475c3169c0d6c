import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prefect import flow

POOL = ThreadPoolExecutor(1)


def work(mark: Path, seconds: float) -> None:
    time.sleep(seconds)
    mark.touch()


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"begun": True}))
    threading.Thread(target=work, args=(Path(out, "ordinary"), 1)).start()
    threading.Thread(target=work, args=(Path(out, "daemon"), 30), daemon=True).start()
    POOL.submit(work, Path(out, "pool"), 1.5)
