import json
import logging
from pathlib import Path

from prefect import flow, get_run_logger

LOG = logging.getLogger("ours.part")


@flow
def main(out: str) -> None:
    LOG.info("ours at info")
    LOG.debug("ours at debug")
    LOG.warning("ours at warning")
    print("printed")
    get_run_logger().debug("run at debug")
    get_run_logger().warning("run at warning")
    seen = {"level": logging.getLogger("ours").level, "effective": LOG.getEffectiveLevel()}
    Path(out, "seen.json").write_text(json.dumps(seen))
