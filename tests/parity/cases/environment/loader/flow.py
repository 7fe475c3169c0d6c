import ctypes
import json
import os
from pathlib import Path

from prefect import flow


def loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


@flow
def main(out: str) -> None:
    maps = Path("/proc/self/maps").read_text()
    seen = {
        "found": loads("libours.so"),
        "preloaded": "libpreloaded.so" in maps,
        "arena": os.environ.get("MALLOC_ARENA_MAX"),
        "exec": b"MALLOC_ARENA_MAX=1" in Path("/proc/self/environ").read_bytes().split(b"\0"),
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
