import json
from pathlib import Path

from prefect import flow

import blocks
import psutil
import work_pools


def whose(module) -> str:
    return getattr(module, "WHOSE", "another's")


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(
        json.dumps({each.__name__: whose(each) for each in (blocks, psutil, work_pools)})
    )
