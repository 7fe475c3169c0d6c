import json
import os
import subprocess
import threading
from pathlib import Path

from prefect import flow


def kinds() -> dict:
    found = {}
    for each in Path("/proc/self/fd").iterdir():
        try:
            kind = str(each.readlink()).partition("[")[0].partition(":")[0]
        except OSError:
            continue
        if int(each.name) > 2:
            found[kind] = found.get(kind, 0) + 1
    return found


def inheritable() -> list[int]:
    return [fd for fd in range(3, 256) if Path(f"/proc/self/fd/{fd}").exists() and os.get_inheritable(fd)]


AT_IMPORT = {"threads": threading.active_count(), "inheritable": inheritable()}


@flow
def main(out: str) -> None:
    signals = subprocess.run(["grep", "SigIgn\\|SigBlk", "/proc/self/status"], capture_output=True, text=True)
    unrestored = subprocess.run(
        ["grep", "SigIgn\\|SigBlk", "/proc/self/status"],
        capture_output=True,
        text=True,
        restore_signals=False,
    )
    seen = {
        "at_import": AT_IMPORT,
        "inheritable": inheritable(),
        "signals": signals.stdout.split(),
        "unrestored": unrestored.stdout.split(),
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
