"""Prefect's own command line, imported once a test process: a command of a fixture costs a fork, not two seconds.

What is asked of the command line itself is asked with ``prefect_cli``; ``test_forked_cli`` holds the two to be alike.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from tests.services.prefect_server import PrefectServer

ROOT = Path(__file__).parents[2]
COMMAND_SECONDS = 120
IMPORTED = (
    *(f"prefect.cli.{name}" for name in ("deploy", "deployment", "work_pool", "work_queue")),
    "prefect.artifacts",
    "prefect.docker",
    "skald_bridge.authoring",
    "skald_work_pools.worker",
)
"""What the commands of fixtures, and the flows that they deploy, import."""
WIDE = {"COLUMNS": "300"}


class _Forking:
    """The process with the imports; it ends when its standard input does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, arguments: list[str], env: Mapping[str, str], cwd: Path, output: Path) -> int:
        """Exit code of ``prefect ARGUMENTS``; negative where a signal ended it."""
        asked = {"arguments": arguments, "env": dict(env), "cwd": str(cwd), "output": str(output)}
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = self._started(env)
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        assert answer, f"the process that forks has ended; see {output}"
        return int(answer)

    def end(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(10)

    def _started(self, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.services.forked_cli"],
            env=env,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )


_forking = _Forking()
atexit.register(_forking.end)


def forked_prefect(server: PrefectServer, *arguments: str, cwd: Path) -> str:
    """Output of ``prefect --no-prompt ARGUMENTS``; an AssertionError carries it where the command fails."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        code = _forking.run(["--no-prompt", *arguments], {**server.client_env, **WIDE}, cwd, output)
        said = output.read_text(errors="replace")
    assert code == 0, f"prefect {' '.join(arguments)}: {code}: {said}"
    return said


def main() -> None:
    """Forks for each line of standard input, and answers it with the exit code."""
    for name in IMPORTED:
        importlib.import_module(name)

    assert threading.active_count() == 1, "a fork has none of the other threads"
    for line in sys.stdin.buffer:
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
        else:
            _become(**json.loads(line))
            return


def _become(arguments: list[str], env: dict[str, str], cwd: str, output: str) -> None:
    """What ``python -m prefect ARGUMENTS`` is, from here to its end."""
    signal.alarm(COMMAND_SECONDS)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[0] = cwd
    sys.argv = ["prefect", *arguments]
    with open(output, "wb") as file:  # noqa: PTH123
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    from prefect.cli import app
    from prefect.context import refresh_global_settings_context

    refresh_global_settings_context()
    app()


if __name__ == "__main__":
    main()
