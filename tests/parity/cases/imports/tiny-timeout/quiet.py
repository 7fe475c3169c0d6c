import json
import socket
from pathlib import Path

from prefect import flow, task


@task
def double(number: int) -> int:
    return 2 * number


@flow
def main(out: str) -> None:
    seen = {"doubled": double.map([1, 2, 3]).result(), "timeout": socket.getdefaulttimeout()}
    Path(out, "seen.json").write_text(json.dumps(seen))
