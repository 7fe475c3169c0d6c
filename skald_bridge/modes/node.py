"""node: serves the registered task types to a work pool; tasks come from anywhere."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from skald_bridge.installation.parts import node_part
from skald_bridge.installation.supervisor import PartChange, Supervisor
from skald_bridge.modes.catalog import TypeCatalog
from skald_bridge.modes.deploying import deploy
from skald_bridge.modes.server import prefect_api
from skald_bridge.modes.stopping import StopSignal, stop_on_signals
from skald_bridge.settings import Settings
from skald_bridge.settings.file import as_environment

_log = logging.getLogger("skald.modes")


def node_name(settings: Settings) -> str:
    """SKALD_ID, else the host's name."""
    return settings.skald_id or socket.gethostname()


def run_node(settings: Settings, catalog: TypeCatalog) -> int:
    """Serve until a signal; 0 then.

    Raises:
        SkaldError: no server, or the node does not stay up.
    """
    types = [found for name in catalog.own_names() if (found := catalog.find(name))]
    with stop_on_signals() as stop, prefect_api(settings, tell) as url:
        asyncio.run(deploy(types, settings.pool, settings.pool, settings))
        with node(settings, url, settings.pool, stop) as running:
            _log.info("node %s serves %s on pool %s", node_name(settings), catalog.own_names(), settings.pool)
            running.wait()
    return 0


@contextmanager
def node(settings: Settings, url: str, pool: str, stop: StopSignal) -> Iterator[Supervisor]:
    """A node process on ``pool``, ready, and kept alive until the block ends or a stop is asked for."""
    home = settings.home.absolute()
    limit = ["--limit", str(settings.limit)] if settings.limit else []
    tags = ["--tags", ",".join(settings.tags)] if settings.tags else []
    base = {**os.environ, **as_environment(settings)}
    part = node_part(
        base,
        home,
        url,
        pool=pool,
        node=node_name(settings),
        arguments=[*limit, *tags],
        grace=settings.grace,
        name=f"node-{node_name(settings)}",
    )
    supervisor = Supervisor([part], home / "logs", tell=tell)
    stop.on_stop(supervisor.request_stop)
    with supervisor:
        yield supervisor


def tell(change: PartChange) -> None:
    level = logging.WARNING if change.what in ("ended", "restarting") else logging.INFO
    _log.log(level, "%s %s%s", change.part, change.what, f" ({change.detail})" if change.detail else "")
