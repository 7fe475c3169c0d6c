import json
import threading
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.logging import get_logger


@task(log_prints=True)
def talks() -> None:
    print("printed in a task")
    get_run_logger().warning("logged in a task")


@flow(log_prints=True)
def main(out: str) -> None:
    log = get_run_logger()
    print("printed", 1, [2], sep=" / ")
    log.info("with %s and %d", "arguments", 2)
    log.info("two\nlines")
    try:
        raise ValueError("inside")
    except ValueError:
        log.exception("an exception of the flow's own")
    talks()
    thread = threading.Thread(target=log.info, args=("from a thread",))
    thread.start()
    thread.join()
    get_logger("ours").warning("of no run")
    Path(out, "seen.json").write_text(json.dumps({"name": log.logger.name}))
