import ctypes
import json
from pathlib import Path

from prefect import flow

LIBC = ctypes.CDLL(None)
THREAD = ctypes.c_ulong()
LIBC.pthread_create(ctypes.byref(THREAD), None, LIBC.pause, None)
LIBC.pthread_setname_np(THREAD, b"native-pool")


@flow
def main(out: str) -> None:
    names = [each.read_text().strip() for each in Path("/proc/self/task").glob("*/comm")]
    Path(out, "seen.json").write_text(json.dumps({"threads": names.count("native-pool")}))
