"""The installation that a running `skald up` keeps in a home, and whether a Prefect server is one of ours."""

from __future__ import annotations

import json
import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from skald_bridge.domain.errors import Unavailable
from skald_bridge.services.ports_in_use import listens
from skald_bridge.services.questions import get_json

_PATIENCE = 30.0
"""Seconds for a server that listens but is too busy to answer, as one that has just started is."""


def up_file(home: Path) -> Path:
    """Where a running `skald up` says its pid, port and API."""
    return home / "run" / "up.json"


def running_up(home: Path) -> dict[str, Any] | None:
    """What the running `skald up` of this home wrote; ``None`` when none runs."""
    try:
        found = json.loads(up_file(home).read_text(encoding="utf-8"))
        os.kill(int(found["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def check_server(url: str) -> str | None:
    """The server's version; ``None`` where it does not say (Prefect Cloud, or it wants a login).

    Raises:
        Unavailable: it does not answer, or is of another major version.
    """
    ours = version("prefect")
    deadline = time.monotonic() + _PATIENCE
    while True:
        answered, found = get_json(f"{url}/admin/version", dict(os.environ))
        if answered or time.monotonic() > deadline or not _listens(url):
            break
    if not answered:
        raise Unavailable(
            f"The Prefect API at {url} does not answer.",
            remedy="Start it (`skald up` runs one), or set PREFECT_API_URL to one that runs.",
        )
    theirs = found if isinstance(found, str) else None
    if theirs is not None and theirs.split(".")[0] != ours.split(".")[0]:
        raise Unavailable(
            f"The Prefect server at {url} is version {theirs}; this installation speaks {ours}.",
            remedy=f"Upgrade the server to {ours.split('.')[0]}.x, or set PREFECT_API_URL to another one.",
        )
    return theirs


def _listens(url: str) -> bool:
    target = urlsplit(url)
    port = target.port or (443 if target.scheme == "https" else 80)
    return bool(target.hostname) and listens(str(target.hostname), port)
