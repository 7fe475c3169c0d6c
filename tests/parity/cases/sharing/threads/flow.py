import json
import logging
import logging.handlers
import queue
import threading
import time
from pathlib import Path

from prefect import flow

BEATS, LINES = [], []
LOCK = threading.Lock()
TIMER = threading.Event()


class Kept(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        LINES.append(record.getMessage())


def beat() -> None:
    while True:
        with LOCK:
            BEATS.append(time.monotonic())
            time.sleep(0.01)


QUEUE = queue.Queue()
LISTENER = logging.handlers.QueueListener(QUEUE, Kept())
LISTENER.start()
LOG = logging.getLogger("ours")
LOG.addHandler(logging.handlers.QueueHandler(QUEUE))
threading.Thread(target=beat, name="heartbeat", daemon=True).start()
timer = threading.Timer(0.2, TIMER.set)
timer.daemon = True
timer.start()


@flow
def main(out: str) -> None:
    LOG.error("through the queue")
    beats = len(BEATS)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not (len(BEATS) > beats and LINES and TIMER.is_set()):
        time.sleep(0.01)
    seen = {
        "beats": len(BEATS) > beats,
        "lines": LINES,
        "timer": TIMER.is_set(),
        "lock": LOCK.acquire(timeout=5),
        "alive": sorted(each.name for each in threading.enumerate() if each.name == "heartbeat"),
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
