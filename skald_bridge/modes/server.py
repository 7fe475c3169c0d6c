"""The Prefect API of an edge or node: the one that is configured, or the one of an own `skald up`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prefect.context import refresh_global_settings_context
from prefect.settings import get_current_settings

from skald_bridge.installation.embedded import HOST, api_url
from skald_bridge.installation.parts import SKALD, our_environment
from skald_bridge.installation.ports_in_use import check_free
from skald_bridge.installation.running import check_server, running_up
from skald_bridge.installation.supervisor import Part, PartChange, Supervisor
from skald_bridge.settings import Settings
from skald_bridge.settings.file import as_environment

_SERVER_WITHIN = 240.0


@contextmanager
def prefect_api(settings: Settings, tell: Callable[[PartChange], None]) -> Iterator[str]:
    """The API's URL, which this process's Prefect uses from now on. An own server ends with the block.

    Raises:
        Unavailable: the configured one does not answer, or an own one cannot be started.
    """
    url = _known(settings)
    if url is not None:
        check_server(url)
        _use(url)
        yield url
        return
    port = settings.server_port
    check_free(
        HOST,
        port,
        what="Prefect's server",
        remedy="Set SKALD_SERVER_PORT to another one, or PREFECT_API_URL to the server that is there.",
    )
    home, url = settings.home.absolute(), api_url(port)
    environment = our_environment(os.environ, home, url)
    environment.update(as_environment(settings), SKALD_SERVER_PORT=str(port))
    for name in ("PREFECT_API_URL", "YAML_FILE", "SKALD_MODE"):
        environment.pop(name, None)
    command = [*SKALD, "up", "--no-node", "--pool", settings.pool]
    installation = Part(
        "installation",
        command,
        environment,
        ready=lambda: running_up(home) is not None,
        ready_within=_SERVER_WITHIN,
        grace=30,
    )
    with Supervisor([installation], home / "logs", tell=tell):
        _use(url)
        yield url


def _known(settings: Settings) -> str | None:
    if url := settings.prefect_api_url or get_current_settings().api.url:
        return url.rstrip("/")
    up = running_up(settings.home)
    return str(up["api_url"]) if up else None


def _use(url: str) -> None:
    os.environ["PREFECT_API_URL"] = url
    os.environ.setdefault("PREFECT_CLIENT_CSRF_SUPPORT_ENABLED", "false")
    refresh_global_settings_context()
