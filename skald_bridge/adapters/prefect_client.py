"""A connection through Prefect's own client: every setting of Prefect's counts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.events import Event
from prefect.events.clients import (
    EventsClient,
    PrefectEventSubscriber,
    get_events_client,
    get_events_subscriber,
)
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from skald_bridge.adapters.prefect_connection import (
    START_PREFECT,
    Broken,
    Events,
    PrefectConnection,
    Refused,
    read_reply,
)
from skald_bridge.domain.errors import Unavailable


@asynccontextmanager
async def prefect_client() -> AsyncIterator[PrefectConnection]:
    """To ``PREFECT_API_URL``."""
    url = get_current_settings().api.url
    if not url:
        raise Unavailable("PREFECT_API_URL is not set", remedy=START_PREFECT)
    async with get_client() as client:
        yield _Client(client, url)


class _Client:
    def __init__(self, client: PrefectClient, url: str) -> None:
        self._client = client
        self._url = url

    @property
    def url(self) -> str:
        return self._url

    async def request(
        self, method: str, path: str, json: object = None, params: Mapping[str, Any] | None = None
    ) -> Any:
        options: dict[str, Any] = {} if json is None else {"json": json}
        try:
            response: httpx.Response = await cast(Any, self._client).request(
                method, path, params=params, **options
            )
        except Exception as error:
            raise plainly(error) from error
        return read_reply(response.content, path)

    @asynccontextmanager
    async def events(self, names: Sequence[str]) -> AsyncIterator[Events]:
        wanted = EventFilter(event=EventNameFilter(name=list(names)))
        async with AsyncExitStack() as stack:
            try:
                subscriber = get_events_subscriber(wanted, reconnection_attempts=0)
                incoming = await stack.enter_async_context(subscriber)
                client = get_events_client(reconnection_attempts=0, checkpoint_every=20)
                out = await stack.enter_async_context(client)
            except Exception as error:
                raise plainly(error) from error
            yield _Events(incoming, out)


def plainly(error: Exception) -> Exception:
    """An error of Prefect's client as a ``PrefectConnection`` raises it; another as it is."""
    if isinstance(error, ObjectNotFound):
        return plainly(error.http_exc)
    if isinstance(error, httpx.HTTPStatusError):
        return Refused(error.response.status_code, error.response.text, error.request.url.path)
    if isinstance(error, (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)):
        return Broken(str(error))
    return ConnectionError(str(error)) if isinstance(error, (httpx.TransportError, AssertionError)) else error


class _Events:
    def __init__(self, incoming: PrefectEventSubscriber, out: EventsClient) -> None:
        self._incoming = incoming
        self._out = out

    async def say(self, event: Mapping[str, Any]) -> None:
        await self._out.emit(Event.model_validate(event))

    async def heard(self) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        async for event in self._incoming:
            yield event.event, event.payload
