"""What the adapter of the ``Engine`` port asks of a connection to Prefect's server.

There are two: through Prefect's own client (``prefect_client``), and plain HTTP (``prefect_http``), which a
command has in a tenth of the time that importing Prefect takes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import httpx


class Events(Protocol):
    """An open event stream. What breaks it ends it: open another."""

    async def say(self, event: Mapping[str, Any]) -> None:
        """Send an event, as Prefect's JSON without id and time: each sending is an event of its own."""
        ...

    def heard(self) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        """Names and payloads of what the server tells from the opening on."""
        ...


class Connection(Protocol):
    @property
    def url(self) -> str:
        """Of the API."""
        ...

    async def request(
        self, method: str, path: str, json: object = None, params: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        """Of a path below the API's URL; raises ``httpx.HTTPError``, also for every status that is no success.

        ``json`` of ``None`` sends no body.
        """
        ...

    def events(self, names: Sequence[str]) -> AbstractAsyncContextManager[Events]:
        """A stream that hears events of these names. A failure to open it is raised as it comes."""
        ...


START_PREFECT = "Start it with `skald up`, or set PREFECT_API_URL to a running Prefect server."
Connect = Callable[[], AbstractAsyncContextManager[Connection]]
"""Opens a connection. Raises ``Unavailable`` where none is configured."""
