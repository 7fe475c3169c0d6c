"""The installation that a running `skald up` keeps in a home, and whether a Prefect server is one of ours."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from skald_bridge.domain.errors import Unavailable
from skald_bridge.installation.ports_in_use import listens
from skald_bridge.installation.questions import get_json

_PATIENCE = 30.0
"""Seconds for a server that listens but is too busy to answer, as one that has just started is."""
_TELL_AFTER = 1.5
"""Seconds after which one who waits is told what for."""


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
        Unavailable: it does not answer, has its API elsewhere, or is of another major version.
    """
    ours = version("prefect")
    deadline = time.monotonic() + _PATIENCE
    with _told(f"waiting for the Prefect API at {url} …"):
        while True:
            answered, found = _version(url)
            if answered or time.monotonic() > deadline or not _listens(url):
                break
    at_root = answered and not isinstance(found, str) and not urlsplit(url).path.strip("/")
    if at_root and isinstance(_version(f"{url}/api")[1], str):
        raise Unavailable(
            f"{url} is Prefect's UI; its API is at {url}/api, which answers.",
            remedy=f"export PREFECT_API_URL={url}/api",
        )
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


def _version(url: str) -> tuple[bool, Any]:
    return get_json(f"{url}/admin/version", dict(os.environ))


@contextmanager
def _told(text: str) -> Iterator[None]:
    """Tell on standard error what is waited for when it takes long."""
    timer = threading.Timer(_TELL_AFTER, sys.stderr.write, [f"{text}\n"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _listens(url: str) -> bool:
    target = urlsplit(url)
    port = target.port or (443 if target.scheme == "https" else 80)
    return bool(target.hostname) and listens(str(target.hostname), port)
