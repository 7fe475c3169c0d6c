"""The real ``skalds`` package, beside this environment and not in it: its pins are older than ours."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

from tests.conftest import required

_CACHE = Path(__file__).parents[2] / ".cache" / "tests"
_PACKAGES = (
    "skalds==0.3.8",
    "kafka-python==2.2.7",
    "redis==6.1.0",
    "pymongo==4.14.0",
    "dnspython",
    "pretty-loguru==1.2.0",
    "loguru",
    "pyfiglet",
    "art",
    "python-dotenv==1.1.1",
    "ruamel.yaml==0.18.10",
)


def skalds_path() -> Path:
    """A folder for PYTHONPATH that holds skalds 0.3.8 and what it imports; skips where it cannot be had."""
    folder = _CACHE / "skalds-0.3.8"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "skalds.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
            done = subprocess.run(
                [*command, "--target", str(folder), *_PACKAGES], capture_output=True, text=True, timeout=300
            )
            if done.returncode:
                required(f"skalds 0.3.8 from the package index: {done.stderr[-300:]}")
            (folder / "installed").touch()
    return folder
