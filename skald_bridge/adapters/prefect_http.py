"""A connection by plain HTTP: Prefect's public API without Prefect, whose import takes a second."""

from __future__ import annotations

import asyncio
import base64
import json as json_
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx

from skald_bridge.adapters.prefect_connection import Connection, Events
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


@asynccontextmanager
async def plain_http(url: str, auth_string: str | None = None) -> AsyncIterator[Connection]:
    """To the API at ``url``; ``auth_string`` is ``user:password`` of a server that wants a login."""
    async with httpx.AsyncClient(
        base_url=url,
        headers=_credentials(auth_string),
        timeout=_SECONDS,
        follow_redirects=True,
        # Reading the certificates takes as long as a request.
        verify=url.startswith("https:"),
    ) as client:
        yield _Http(client, url, auth_string)


class _Http:
    def __init__(self, client: httpx.AsyncClient, url: str, auth_string: str | None) -> None:
        self._client = client
        self._url = url
        self._auth_string = auth_string

    @property
    def url(self) -> str:
        return self._url

    async def request(
        self, method: str, path: str, json: object = None, params: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        for attempt in range(1, _TRIES + 1):
            response = await self._client.request(method, path, json=json, params=params)
            if response.status_code not in _BUSY or attempt == _TRIES:
                break
            await asyncio.sleep(wait_before(attempt, response.headers.get("Retry-After")))
        return response.raise_for_status()

    @asynccontextmanager
    async def events(self, names: Sequence[str]) -> AsyncIterator[Events]:
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed, WebSocketException
        from websockets.typing import Subprotocol

        async with AsyncExitStack() as stack:
            try:
                opening = connect(
                    self._url.replace("http", "ws", 1) + "/events/out",
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


def _credentials(auth_string: str | None) -> dict[str, str]:
    if not auth_string:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(auth_string.encode()).decode()}"}
