import json
from pathlib import Path

from prefect import flow, get_run_logger
from state import state

AT_IMPORT = state()


@flow
def main(out: str) -> None:
    get_run_logger().info("at info")
    get_run_logger().debug("at debug")
    seen = {"at_import": AT_IMPORT, "in_flow": state()}
    Path(out, "seen.json").write_text(json.dumps(seen))
