import contextlib
import io
import json
import os
import sys
from pathlib import Path

from prefect import flow


@flow
def main(out: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as kept:
        print("kept")
    seen = {"kept": kept.getvalue(), "closed": sys.stdin.closed}
    Path(out, "seen.json").write_text(json.dumps(seen))
    sys.stdout.close()
    os.close(1)
    sys.stdin.close()
