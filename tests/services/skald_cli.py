"""``skald`` as a user runs it: a process of its own, its answer and its errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services.prefect_server import free_port

SKALD = [sys.executable, "-m", "skald_bridge.cli"]


@dataclass(frozen=True)
class Answer:
    command: str
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"{self.command}: exit code {self.code}\n{self.out}\n{self.err}"

    @property
    def json(self) -> Any:
        """What was printed, as one JSON document."""
        assert self.code == 0, self
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """What was printed, as a JSON document a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def is_clear(self, code: int, *words: str) -> None:
        """One error with its remedy on stderr, nothing else, these words in it, and this exit code.

        A busy machine's command may also say what it waits for.
        """
        said = [line for line in self.err.strip().splitlines() if not line.startswith("waiting: ")]
        assert self.code == code, self
        assert "Traceback" not in self.err + self.out, self
        assert self.err.count("Error:") == 1, self
        assert self.err.count("Remedy:") == 1, self
        assert len(said) == 2, self
        for word in words:
            assert word in self.err, f"{word!r} is missing: {self}"


def skald_environment(home: Path, own: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what it says of Prefect, Skald or a terminal, and ``own`` added.

    REST gets a port of its own: tests run side by side.
    """
    (home / "prefect-client").mkdir(parents=True, exist_ok=True)
    other = ("PREFECT_", "SKALD_", "COLUMNS")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(other)}
    ours = {
        "SKALD_HOME": str(home),
        "PREFECT_HOME": str(home / "prefect-client"),
        "SYSTEM_CONTROLLER_PORT": str(free_port()),
        "DO_NOT_TRACK": "1",
    }
    return {**clean, **ours, **(own or {})}


def skald(
    *arguments: str,
    home: Path,
    env: Mapping[str, str] | None = None,
    seconds: float = 90,
    cwd: Path | None = None,
) -> Answer:
    """``skald ARGUMENTS`` run to its end."""
    done = subprocess.run(
        [*SKALD, *arguments],
        env=skald_environment(home, env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return Answer(f"skald {' '.join(arguments)}", done.returncode, done.stdout, done.stderr)
