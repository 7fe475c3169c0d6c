import json
import logging
from pathlib import Path

from prefect import flow, get_run_logger


@flow
def main(out: str) -> None:
    logging.getLogger("ours").debug("ours at debug")
    get_run_logger().info("run at info")
    file = Path("ours.log")
    lines = [line for line in file.read_text().splitlines() if "at " in line] if file.exists() else []
    Path(out, "seen.json").write_text(json.dumps({"lines": lines}))
    file.unlink(missing_ok=True)
