"""A connection by plain HTTP: Prefect's public API without Prefect, whose import takes a second.

By the standard library: importing httpx takes as long as all the rest of a command.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json as json_
import os
import select
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

from skald_bridge.adapters.prefect_connection import Broken, Events, PrefectConnection, Refused, read_reply
from skald_bridge.domain.errors import Denied, Unavailable

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

_SECONDS = 60.0
"""Prefect's own patience with a request."""
_TRIES = 6
_BUSY = (408, 429, 502, 503)
"""What Prefect's client asks again after; a locked SQLite answers 503."""
_LONGEST_WAIT = 32.0
_SUBPROTOCOL = "prefect"
_A_YEAR = timedelta(days=365)
_IN_PATHS = "/%:@!$&'()*+,;=~"


@asynccontextmanager
async def plain_http(url: str, auth_string: str | None = None) -> AsyncIterator[PrefectConnection]:
    """To the API at ``url``; ``auth_string`` is ``user:password`` of a server that wants a login."""
    made = _Http(url, auth_string)
    try:
        yield made
    finally:
        made.close()


class _Http:
    """Requests in threads, each on a connection that no other uses meanwhile."""

    def __init__(self, url: str, auth_string: str | None) -> None:
        self.url = url
        self._auth_string = auth_string
        self._target = urlsplit(url)
        self._tls = _tls() if self._target.scheme == "https" else None
        self._idle: list[http.client.HTTPConnection] = []
        self._used: set[http.client.HTTPConnection] = set()

    def close(self) -> None:
        """Ends also what is asked at this moment."""
        for connection in (*self._idle, *self._used):
            if connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)
            connection.close()

    async def request(
        self, method: str, path: str, json: object = None, params: Mapping[str, Any] | None = None
    ) -> Any:
        body = None if json is None else json_.dumps(json, allow_nan=False).encode()
        for attempt in range(1, _TRIES + 1):
            status, retry_after, content = await asyncio.to_thread(self._ask, method, path, body, params)
            if status not in _BUSY or attempt == _TRIES:
                break
            await asyncio.sleep(wait_before(attempt, retry_after))
        if not 200 <= status < 300:
            raise Refused(status, content.decode(errors="replace"), self._target.path + path)
        return read_reply(content, path)

    def _ask(
        self, method: str, path: str, body: bytes | None, params: Mapping[str, Any] | None
    ) -> tuple[int, str | None, bytes]:
        """Status, Retry-After and content."""
        whole = quote(self._target.path + path, safe=_IN_PATHS) + (f"?{urlencode(params)}" if params else "")
        headers = {"Content-Type": "application/json", **_credentials(self._auth_string)}
        connection = self._connection()
        self._used.add(connection)
        try:
            connection.request(method, whole, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (http.client.HTTPException, ConnectionResetError, BrokenPipeError) as error:
            connection.close()
            raise Broken(str(error)) from error
        except BaseException:
            connection.close()
            raise
        finally:
            self._used.discard(connection)
        self._idle.append(connection)
        if moved := answer.headers.get("Location") if 300 <= answer.status < 400 else None:
            content = f"it redirects to {moved}".encode()
        return answer.status, answer.headers.get("Retry-After"), content

    def _connection(self) -> http.client.HTTPConnection:
        while self._idle:
            connection = self._idle.pop()
            # What can be read before anything is asked is the end.
            if connection.sock is not None and not select.select([connection.sock], [], [], 0)[0]:
                return connection
            connection.close()
        host, port = self._target.hostname or "", self._target.port
        if self._tls is not None:
            return http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=_SECONDS)

    @asynccontextmanager
    async def events(self, names: Sequence[str]) -> AsyncIterator[Events]:
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed, WebSocketException
        from websockets.typing import Subprotocol

        async with AsyncExitStack() as stack:
            try:
                opening = connect(
                    self.url.replace("http", "ws", 1) + "/events/out",
                    ssl=self._tls,
                    subprotocols=[Subprotocol(_SUBPROTOCOL)],
                    additional_headers=_credentials(self._auth_string),
                )
                socket = await stack.enter_async_context(opening)
                await socket.send(json_.dumps({"type": "auth", "token": self._auth_string}))
                await socket.recv()
                await socket.send(json_.dumps(subscription(names, datetime.now(UTC))))
            except ConnectionClosed as error:
                raise Denied(
                    f"Prefect's event stream refuses the credentials: {error}",
                    remedy="Set PREFECT_API_AUTH_STRING to the server's.",
                ) from error
            except WebSocketException as error:
                raise Unavailable(
                    f"Prefect's event stream does not open: {error}",
                    remedy="Let WebSockets through what lies between here and the server.",
                ) from error
            yield _Events(self, socket)


class _Events:
    def __init__(self, http: _Http, socket: ClientConnection) -> None:
        self._http = http
        self._socket = socket

    async def say(self, event: Mapping[str, Any]) -> None:
        own = {"id": str(uuid4()), "occurred": datetime.now(UTC).isoformat()}
        await self._http.request("POST", "/events", [{**event, **own}])

    async def heard(self) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        async for text in self._socket:
            event = json_.loads(text).get("event") or {}
            yield event.get("event", ""), event.get("payload") or {}


def subscription(names: Sequence[str], now: datetime) -> dict[str, Any]:
    """The message that asks for events of these names from now on, whose senders' clocks may be slow."""
    occurred = {"since": (now - timedelta(minutes=1)).isoformat(), "until": (now + _A_YEAR).isoformat()}
    wanted = {"event": {"name": list(names)}, "occurred": occurred}
    return {"type": "filter", "filter": wanted, "backfill": False}


def wait_before(attempt: int, retry_after: str | None) -> float:
    """Seconds before the request that follows the ``attempt``-th, as its answer asks, else twice as long each time."""
    try:
        asked = float(retry_after) if retry_after is not None else float(2**attempt)
    except ValueError:
        asked = float(2**attempt)
    return min(max(asked, 0.0), _LONGEST_WAIT)


def _tls() -> ssl.SSLContext:
    """As Prefect's client trusts."""
    import certifi

    return ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or certifi.where())


def _credentials(auth_string: str | None) -> dict[str, str]:
    if not auth_string:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(auth_string.encode()).decode()}"}
