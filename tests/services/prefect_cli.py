"""Prefect's own command line against a test server."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.services.prefect_server import PrefectServer


def prefect(server: PrefectServer, *arguments: str, cwd: Path | None = None) -> str:
    """Output of ``prefect --no-prompt ARGUMENTS``; an AssertionError carries it where the command fails."""
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
        env={**server.client_env, "COLUMNS": "300"},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextlib.contextmanager
def running(
    server: PrefectServer,
    command: list[str],
    log: Path,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own session, its output in ``log``; it and its group are gone afterwards."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            env={**server.client_env, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        hurry(process)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def hurry(process: subprocess.Popen[bytes], seconds: int = 20) -> None:
    """SIGTERM once a second until it has ended: two at once may arrive as one, and the second hurries a node."""
    for _ in range(seconds):
        if process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
