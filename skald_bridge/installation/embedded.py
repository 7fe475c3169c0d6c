"""The embedded Prefect server: its command and the settings that make SQLite carry one person's load.

Measured: with the default event persister (batches of 20) creation waits for its transactions (9-12 runs/s
against 70/s with a batch of 1000), and the late-runs service ends in "database is locked" while late runs wait.
``embedded_server`` says what else it takes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

HOST = "127.0.0.1"


def server_command(port: int) -> list[str]:
    """Arguments that start the server on loopback, in the foreground."""
    return [
        sys.executable,
        "-m",
        "skald_bridge.installation.embedded_server",
        "--host",
        HOST,
        "--port",
        str(port),
    ]


def api_url(port: int) -> str:
    return f"http://{HOST}:{port}/api"


def server_environment(
    base: Mapping[str, str], home: Path, port: int, database_url: str | None = None
) -> dict[str, str]:
    """``base`` with what the server needs; its data live under ``home``, or in ``database_url``."""
    own = {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": api_url(port),
        "PREFECT_UI_STATIC_DIRECTORY": str(home / "ui"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "1000",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "2",
        "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    }
    if database_url is not None:
        own["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database_url
    return {**base, **own}


def client_environment(base: Mapping[str, str], home: Path, url: str) -> dict[str, str]:
    """``base`` with what a process of ours needs to talk to the server at ``url``."""
    return {
        **base,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": url,
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
