"""GPUs for the real pynvml: a stub ``libnvidia-ml.so.1`` that reads its GPUs from a file a test rewrites.

Start the process under test with ``stub.env``: the library is found through ``LD_LIBRARY_PATH``.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
CACHE = Path(__file__).parents[2] / ".cache" / "tests" / "nvml"
GPU_IS_LOST = 15
GIB = 2**30


@dataclass
class StubGpu:
    """What the library says of one GPU; sizes in bytes, -1 is "not supported" or "not available"."""

    uuid: str
    name: str = "Stub RTX 0000"
    total: int = 16 * GIB
    reserved: int = 0
    used: int = 0
    encoder_capacity: int = 100
    encoder_utilisation: int = 0
    decoder_utilisation: int = 0
    encoder_sessions: int = 0
    error: int = 0
    processes: dict[int, int] = field(default_factory=dict)

    def lines(self) -> str:
        numbers = (
            self.total,
            self.reserved,
            self.used,
            self.encoder_capacity,
            self.encoder_utilisation,
            self.decoder_utilisation,
            self.encoder_sessions,
            self.error,
        )
        processes = "".join(f"proc {pid} {size}\n" for pid, size in self.processes.items())
        return f"gpu {self.uuid} {' '.join(map(str, numbers))} {self.name}\n{processes}"


class NvmlStub:
    """Two GPUs by default; change them in ``gpus``, then ``write``."""

    def __init__(self, folder: Path, gpus: list[StubGpu] | None = None) -> None:
        self.library = build()
        self.file = folder / "gpus.txt"
        self.gpus = gpus or [StubGpu(f"GPU-{index:08d}-aaaa-bbbb-cccc-0123456789ab") for index in range(2)]
        self.write()

    @property
    def env(self) -> dict[str, str]:
        """Environment entries for a process that shall see these GPUs."""
        known = os.environ.get("LD_LIBRARY_PATH")
        folders = f"{self.library.parent}:{known}" if known else str(self.library.parent)
        return {"LD_LIBRARY_PATH": folders, "SKALD_NVML_STUB": str(self.file)}

    def write(self) -> None:
        """Make ``gpus`` what every further NVML call answers."""
        new = self.file.with_suffix(".new")
        new.write_text("".join(gpu.lines() for gpu in self.gpus))
        new.replace(self.file)


def available() -> bool:
    return shutil.which("gcc") is not None


def build() -> Path:
    """The library's path; compiled once per version of its source."""
    folder = CACHE / hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    library = folder / "libnvidia-ml.so.1"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            made = folder / "made.so"
            subprocess.run(
                [
                    "gcc",
                    "-shared",
                    "-fPIC",
                    "-O1",
                    "-Wall",
                    "-Wextra",
                    "-Werror",
                    str(SOURCE),
                    "-o",
                    str(made),
                ],
                check=True,
            )
            made.replace(library)
    return library
