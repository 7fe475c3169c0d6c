"""Which Prefect API a command talks to, and whether it answers.

In order: PREFECT_API_URL and the other settings, Prefect's active profile, this home's running `skald up`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skald_bridge.domain.errors import Unavailable
from skald_bridge.installation.running import check_server, running_up, up_file

__all__ = ["api_url", "check_server", "configured_url", "connect", "running_up", "up_file", "with_engine"]

if TYPE_CHECKING:
    from skald_bridge.ports import Engine
    from skald_bridge.settings import Settings


def configured_url(settings: Settings) -> str | None:
    """The API that the user has named; ``None`` leaves the choice to us."""
    return settings.prefect_api_url or _profile().get("PREFECT_API_URL") or None


def api_url(settings: Settings) -> str:
    """The API to talk to, not asked yet.

    Raises:
        Unavailable: none is configured and no `skald up` runs.
    """
    if url := configured_url(settings):
        return url.rstrip("/")
    if up := running_up(settings.home):
        return str(up["api_url"])
    raise Unavailable(
        f"No Prefect API is configured, and no `skald up` runs for {settings.home}.",
        remedy="Start everything with `skald up`, or set PREFECT_API_URL to a running Prefect server.",
    )


def connect(settings: Settings) -> str:
    """The API to talk to, which answers and is of our major version; this process' Prefect will use it.

    Call it before Prefect is imported.

    Raises:
        Unavailable: none is configured, it does not answer, or it is of another major version.
    """
    url = api_url(settings)
    check_server(url)
    os.environ["PREFECT_API_URL"] = url
    os.environ.setdefault("PREFECT_CLIENT_CSRF_SUPPORT_ENABLED", "false")
    return url


def with_engine(settings: Settings, body: Callable[[Engine], Coroutine[Any, Any, None]]) -> None:
    """Run ``body`` with Prefect behind the ``Engine`` port; Prefect itself is imported only where it must be."""
    import asyncio

    url = connect(settings)
    from skald_bridge.quick import engine

    async def inside() -> None:
        async with engine(url, _prefect_settings()) as prefect:
            await body(prefect)

    asyncio.run(inside())


def _prefect_settings() -> dict[str, str] | None:
    """What is set of Prefect's, by the names of its variables; ``None`` where only Prefect can tell.

    It reads files of the working folder too.
    """
    toml = Path("pyproject.toml")
    if Path("prefect.toml").exists() or (toml.is_file() and b"tool.prefect" in toml.read_bytes()):
        return None
    from dotenv import dotenv_values

    dotenv = {name.upper(): value or "" for name, value in dotenv_values(".env").items()}
    return _profile() | dotenv | {name.upper(): value for name, value in os.environ.items()}


def _profile() -> dict[str, str]:
    """What Prefect's active profile sets, read without importing Prefect."""
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    path = Path(os.environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml")).expanduser()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        active = os.environ.get("PREFECT_PROFILE") or data["active"]
        return {name.upper(): str(value) for name, value in data["profiles"][active].items()}
    except (OSError, ValueError, KeyError, AttributeError):
        return {}
