"""What clients may hold of the bridge: so many connections, and so long to send a request or to read an answer."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, cast

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

MOST = 1000
LEAST_READ = 2**16
_PERIOD = 60.0
_log = logging.getLogger("skald_bridge.api")


@dataclass(frozen=True)
class ConnectionLimits:
    """Seconds for a client, and how many may be connected at once.

    Attributes:
        head: for a request's head, counted from the connection's begin or the last answer's end.
        body: for the rest of the request.
        reading: for each 64 KiB of an answer, and for the last of it.
    """

    connections: int = MOST
    head: float = 10.0
    body: float = 60.0
    reading: float = 60.0

    @property
    def backlog(self) -> int:
        """Connections that are accepted in one go, so the most that exist beyond the limit for a moment."""
        return max(1, min(128, self.connections // 4))


def connection_limit(descriptors: int) -> int:
    """Half of them at most, of ``RLIMIT_NOFILE``'s soft limit: the bridge's duties need the others."""
    return max(1, min(MOST, descriptors // 2)) if descriptors >= 0 else MOST


class Door:
    """All connections. When there are too many, the one that has been silent for the longest goes first."""

    def __init__(self, limits: ConnectionLimits, sockets: Collection[str] = ()) -> None:
        """``sockets``: paths that WebSockets are served at."""
        self.limits, self.sockets = limits, sockets
        self._open: set[Connection] = set()
        self._silent: dict[Connection, None] = {}
        self._full = 0
        self._told = float("-inf")

    def enter(self, connection: Connection) -> bool:
        """Whether it may stay."""
        if len(self._open) >= self.limits.connections:
            self._tell()
            silent = next(iter(self._silent), None)
            if silent is None:
                return False
            silent.give_way()
        self._open.add(connection)
        return True

    def hear(self, connection: Connection, *, silent: bool) -> None:
        """Whether it waits for a request's head."""
        self._silent.pop(connection, None)
        if silent and connection in self._open:
            self._silent[connection] = None

    def leave(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._silent.pop(connection, None)

    def _tell(self) -> None:
        self._full += 1
        if time.monotonic() - self._told > _PERIOD:
            self._told = time.monotonic()
            _log.warning(
                "REST has %d connections, as many as it may: silent ones are closed, others get 503 (%d so far)",
                self.limits.connections,
                self._full,
            )


class Connection(H11Protocol):
    """HTTP/1 with an end to every wait for the client.

    A handshake of WebSocket is an ordinary request, unless its path is one of the door's ``sockets``.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        door: Door,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._door = door
        self._awaited: tuple[Any, object] | None = None
        self._late: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if not self._door.enter(self):
            self._hang_up(_FULL)
            return
        super().connection_made(self.transport)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.leave(self)
        self._await(None)
        self._read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()
        if self.transport.get_write_buffer_size() and not self.flow.write_paused:
            self._await_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read()

    def give_way(self) -> None:
        """To another client; this one has sent no request."""
        self._hang_up(_FULL)

    def send_400_response(self, msg: str) -> None:
        self._hang_up(_UNREADABLE if self._is_unanswered() else b"")

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """The connection stays one of the door's until it ends; its waits are no concern of HTTP's any more."""
        self._await(None)
        self._read()
        self.ws_protocol_class = cast(Any, partial(_Socket, ended=partial(self._door.leave, self)))
        super().handle_websocket_upgrade(event)

    def _should_upgrade(self) -> bool:
        return self.scope["path"] in self._door.sockets and self._get_upgrade() == b"websocket"

    def _look(self) -> None:
        """What is awaited of the client now; the answer to one request may come before its body's end."""
        state = self.conn.their_state
        waits = state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing()
        self._await((state, self.cycle) if waits else None)

    def _await(self, awaited: tuple[Any, object] | None) -> None:
        if awaited == self._awaited:
            return
        self._awaited = awaited
        if self._late is not None:
            self._late.cancel()
            self._late = None
        silent = awaited is not None and awaited[0] is h11.IDLE
        self._door.hear(self, silent=silent)
        if awaited is not None:
            limits = self._door.limits
            self._late = self.loop.call_later(limits.head if silent else limits.body, self._too_late)

    def _too_late(self) -> None:
        begun = self.conn.their_state is h11.SEND_BODY or bool(self.conn.trailing_data[0])
        self._hang_up(_LATE if begun and self._is_unanswered() else b"")

    def _is_unanswered(self) -> bool:
        return self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _await_reading(self) -> None:
        self._read()
        left = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(self._door.limits.reading, self._look_at_reading, left)

    def _look_at_reading(self, before: int) -> None:
        self._unread = None
        left = self.transport.get_write_buffer_size()
        if left and before - left < LEAST_READ:
            self.transport.abort()
        elif left:
            self._await_reading()

    def _hang_up(self, last: bytes = b"") -> None:
        """At once, also when the client does not read."""
        self._door.leave(self)
        if last:
            self.transport.write(last)
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()


class _Socket(WebSocketsSansIOProtocol):
    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        *,
        ended: Callable[[], None],
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._ended = ended

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended()
        super().connection_lost(exc)


class Seldom(logging.Filter):
    """Lets a message through once a minute; an error's traceback once a minute for each place it came from."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[object, ...], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        self._told = {kind: at for kind, at in self._told.items() if now - at < _PERIOD}
        kind = _kind(record)
        if kind in self._told:
            return False
        self._told[kind] = now
        return True


def _kind(record: logging.LogRecord) -> tuple[object, ...]:
    kind, _, trace = record.exc_info if record.exc_info else (None, None, None)
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace is not None else None
    return (record.msg, kind, place)


def _answer(status: HTTPStatus, error: str, remedy: str) -> bytes:
    body = json.dumps({"error": error, "remedy": remedy, "status": status.value}).encode()
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
    more = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return (head + more).encode() + body


_FULL = _answer(
    HTTPStatus.SERVICE_UNAVAILABLE, "There are too many connections.", "Close some, or try again in a moment."
)
_UNREADABLE = _answer(HTTPStatus.BAD_REQUEST, "This is no HTTP/1.1 request.", "Ask by HTTP/1.1, without TLS.")
_LATE = _answer(
    HTTPStatus.REQUEST_TIMEOUT,
    "The request did not arrive in time.",
    "Send it at once, and no more than 10 MB.",
)
