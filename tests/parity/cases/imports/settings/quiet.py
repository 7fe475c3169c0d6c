import json
from pathlib import Path

from prefect import flow
from state import state

AT_IMPORT = state()


@flow
def main(out: str) -> None:
    seen = {"at_import": AT_IMPORT, "in_flow": state()}
    Path(out, "seen.json").write_text(json.dumps(seen))
