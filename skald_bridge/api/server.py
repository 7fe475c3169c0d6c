"""Serving the application on the bridge's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import resource
import socket
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from skald_bridge.api.connections import Connection, ConnectionLimits, Door, Seldom, connection_limit
from skald_bridge.api.quick import Quick
from skald_bridge.api.quick_connection import QuickConnection
from skald_bridge.domain.errors import InvalidInput, Unavailable
from skald_work_pools.link.frames import LARGEST

GRACE = 2
"""Seconds that open requests get at the end."""


def listening_socket(host: str, port: int) -> socket.socket:
    """Bound; port 0 is any free one.

    Raises:
        Unavailable: another program listens there.
        InvalidInput: the address is none of this machine's, or may not be used.
    """
    remedy = "Choose another: SYSTEM_CONTROLLER_HOST and SYSTEM_CONTROLLER_PORT, or --host and --port."
    where = f"{host}:{port}, wanted for the REST API,"
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise InvalidInput(f"{where} is no address: {error}.", remedy=remedy) from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise Unavailable(f"{where} is already taken.", remedy=remedy) from error
        raise InvalidInput(f"{where} cannot be used: {error.strerror}.", remedy=remedy) from error
    return bound


def limits() -> ConnectionLimits:
    """By what this process may open."""
    return ConnectionLimits(connection_limit(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))


@asynccontextmanager
async def serving(
    app: ASGIApp,
    bound: socket.socket,
    limits: ConnectionLimits,
    quick: Quick | None = None,
    sockets: Collection[str] = (),
) -> AsyncIterator[None]:
    """Answers from when it is entered until it is left; what ``quick`` can answer does not reach ``app``.

    ``sockets``: paths that WebSockets are served at.
    """
    door = Door(limits, sockets)
    protocol = (
        partial(Connection, door=door) if quick is None else partial(QuickConnection, door=door, quick=quick)
    )
    config = uvicorn.Config(
        app,
        http=cast(Any, protocol),
        ws="websockets-sansio",
        ws_max_size=LARGEST,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        backlog=limits.backlog,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[bound]), name="rest")
    task.add_done_callback(lambda _: server.answers.set())
    stack = contextlib.ExitStack()
    stack.enter_context(_seldom("uvicorn.error", "skald_bridge.api", "asyncio"))
    try:
        await server.answers.wait()
        if task.done():
            await task
        yield
    finally:
        server.should_exit = True
        await asyncio.wait([task])
        stack.close()


@contextlib.contextmanager
def _seldom(*names: str) -> Iterator[None]:
    """What clients can cause does not fill the log."""
    filters = [(logging.getLogger(name), Seldom()) for name in names]
    for logger, seldom in filters:
        logger.addFilter(seldom)
    try:
        yield
    finally:
        for logger, seldom in filters:
            logger.removeFilter(seldom)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answers.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the command's."""
        yield
