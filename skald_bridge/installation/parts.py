"""The parts of an installation on one machine: Prefect's server, the bridge, nodes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from skald_bridge.installation.embedded import api_url, client_environment, server_command, server_environment
from skald_bridge.installation.questions import ask as ask_server
from skald_bridge.installation.questions import credentials
from skald_bridge.installation.supervisor import Part
from skald_work_pools.devices import variable_name

_FINAL = frozenset({2, 3, 5})
"""Exit codes of ours (domain/errors.py) that say: wrong input, nothing of that name, refused."""
SKALD = [sys.executable, "-m", "skald_bridge.cli"]
"""The `skald` command of this installation."""


def server_part(base: Mapping[str, str], home: Path, port: int, *, name: str = "server") -> Part:
    """The embedded Prefect server on loopback, its data under ``home``/prefect."""
    data = home / "prefect"
    data.mkdir(parents=True, exist_ok=True)
    url = api_url(port)
    return Part(
        name,
        server_command(port),
        server_environment(base, data, port),
        ready=lambda: api_answers(url),
        ready_within=180,
        grace=10,
        waits_for=f"{url} does not answer yet",
    )


def bridge_part(
    base: Mapping[str, str], home: Path, url: str, *, rest: bool = False, name: str = "bridge"
) -> Part:
    """The bridge of the installation at ``home``, on the Prefect API at ``url``; with ``rest`` it listens."""
    command = [*SKALD, "bridge", "--rest" if rest else "--no-rest"]
    return Part(name, command, our_environment(base, home, url), grace=10, final=_FINAL)


def node_part(
    base: Mapping[str, str],
    home: Path,
    url: str,
    *,
    pool: str,
    node: str,
    arguments: Sequence[str] = (),
    grace: float = 10,
    name: str = "node",
) -> Part:
    """A node named ``node`` on ``pool``; ready when it has announced itself.

    ``grace``: seconds that its runs get at the end. ``arguments`` are further options of ``skald node``.
    """
    command = [*SKALD, "node", "--pool", pool, "--name", node, "--grace", f"{grace:g}", *arguments]
    env = our_environment(base, home, url)
    return Part(
        name,
        command,
        env,
        ready=node_answers(url, pool, node, env),
        grace=grace + 15,
        waits_for=f"it has not announced itself in work pool {pool} yet",
        final=_FINAL,
    )


def linked(base: Mapping[str, str], host: str, port: int) -> dict[str, str]:
    """``base`` with the bridge that a node keeps a link to, which listens there; one that is named stays."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host.strip("[]"), host.strip("[]"))  # noqa: S104
    at = f"[{near}]" if ":" in near else near
    return {**base, "SKALD_LINK": base.get("SKALD_LINK") or f"http://{at}:{port}"}


def our_environment(base: Mapping[str, str], home: Path, url: str) -> dict[str, str]:
    """``base`` with what a process of this installation needs; PREFECT_HOME is kept where it is set."""
    own = {"SKALD_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    data = Path(base["PREFECT_HOME"]) if "PREFECT_HOME" in base else home / "prefect"
    return {**client_environment(base, data, url), **own}


def api_answers(url: str) -> bool:
    """Whether the Prefect API at ``url`` says that it is healthy."""
    return ask_server("GET", f"{url}/health")[0] == 200


def node_answers(url: str, pool: str, node: str, env: Mapping[str, str] | None = None) -> Callable[[], bool]:
    """A probe: the node has announced itself, and beaten since the probe began. ``env`` holds credentials."""
    before: list[str | None] = []
    headers = credentials(env or {})

    def ask(path: str, body: object) -> list[dict[str, Any]]:
        _, found = ask_server("POST", f"{url}{path}", body, headers)
        return found if isinstance(found, list) else []

    def workers() -> Iterator[dict[str, Any]]:
        """Those heard of last come first: a node that has just beaten is found soon."""
        chosen, offset = {"status": {"any_": ["ONLINE"]}}, 0
        page: list[dict[str, Any]] = [{}]
        while page:
            path = f"/work_pools/{quote(pool)}/workers/filter"
            page = ask(path, {"workers": chosen, "offset": offset})
            yield from page
            offset += len(page)

    def probe() -> bool:
        beat = next((w.get("last_heartbeat_time") for w in workers() if w.get("name") == node), None)
        if not before:
            # Without a pool there is no answer yet, and no heartbeat of an earlier node either.
            before.append(beat)
        if beat is None or beat == before[0]:
            return False
        return bool(ask("/variables/filter", {"variables": {"name": {"any_": [variable_name(pool, node)]}}}))

    return probe
