"""The installation that the demonstration plays in: server, pools, deployments, bridge, two nodes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from skald_bridge.domain.errors import SkaldError
from skald_bridge.installation.bundled import flows_root
from skald_bridge.installation.embedded import HOST, api_url
from skald_bridge.installation.parts import bridge_part, linked, node_part, our_environment, server_part
from skald_bridge.installation.supervisor import PartChange, Supervisor

POOLS = ("cpu", "gpu")
NODES = ("north", "south")
NODE_TASKS = 4
_DEPLOY_SECONDS = 120


@dataclass(frozen=True)
class Stage:
    """A running installation. ``ui`` is the Prefect UI's address, ``home`` holds journal, logs and media."""

    home: Path
    api: str
    ui: str


def settle(home: Path, port: int | None) -> int:
    """Point this process and its children at the stage to come; call it before Prefect is imported.

    Returns the server's port: ``port``, or a free one.
    """
    chosen = port or _free_port()
    os.environ["PREFECT_HOME"] = str(home / "prefect")
    os.environ.update(our_environment(os.environ, home, api_url(chosen)))
    os.environ["PREFECT_LOGGING_TO_API_BATCH_INTERVAL"] = "0.5"
    return chosen


@contextlib.contextmanager
def stage(home: Path, port: int, tell: Callable[[str], None]) -> Iterator[Stage]:
    """Everything up, on loopback; all processes are gone afterwards, whatever happens inside.

    Raises:
        SkaldError: a part does not come up, or the flows cannot be deployed.
    """
    url = api_url(port)
    base = dict(os.environ)
    logs = home / "logs"

    def told(change: PartChange) -> None:
        if change.what in ("ended", "restarting"):
            tell(f"{change.part} {change.what} {change.detail}".rstrip())

    tell(f"Prefect server on {HOST}:{port}, its SQLite in {home / 'prefect'}")
    with Supervisor([server_part(base, home, port)], logs, tell=told):
        tell(f"work pools {', '.join(POOLS)}; prefect deploy --all")
        _make_pools()
        _deploy(base)
        tell(f"bridge, and the nodes {', '.join(NODES)}")
        limit = ["--limit", str(NODE_TASKS)]
        rest = _free_port()
        heard = {**base, "SYSTEM_CONTROLLER_HOST": HOST, "SYSTEM_CONTROLLER_PORT": str(rest)}
        told_of = linked(base, HOST, rest)
        nodes = [
            node_part(told_of, home, url, pool="cpu", node=name, name=name, arguments=limit, grace=2)
            for name in NODES
        ]
        with Supervisor([bridge_part(heard, home, url, rest=True), *nodes], logs, tell=told):
            yield Stage(home, url, f"http://{HOST}:{port}")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


def _make_pools() -> None:
    from skald_bridge.main import ensure_pools

    asyncio.run(ensure_pools(POOLS))


def _deploy(env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(
        command,
        cwd=flows_root(),
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_DEPLOY_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise SkaldError(
            f"prefect deploy failed:\n{(done.stdout + done.stderr)[-2000:]}",
            remedy="See skald doctor; a broken flow file names itself above.",
        )
