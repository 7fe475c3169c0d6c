"""A bridge as a process of its own: ``python -m tests.services.bridge_process JOURNAL``."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from skald_bridge.main import run_bridge
from skald_bridge.settings import Settings
from tests.services.leashed import leashed

ROOT = Path(__file__).parents[2]


class BridgeProcess:
    """``kill`` is SIGKILL; ``start`` again goes on with the same journal. Start it from the main thread.

    ``env`` names Prefect's API, and the services it carries everything to.
    """

    def __init__(self, journal: Path, env: Mapping[str, str]) -> None:
        self.journal = journal
        self._env = dict(env)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.journal.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                leashed([sys.executable, "-m", "tests.services.bridge_process", str(self.journal)]),
                cwd=ROOT,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        return self.journal.with_suffix(".log").read_text()


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level="WARNING")
    logging.getLogger("skald_bridge").setLevel("DEBUG")
    asyncio.run(run_bridge(Path(sys.argv[1]), Settings()))
