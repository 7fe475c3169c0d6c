"""What the adapter of the ``Engine`` port asks of a connection to Prefect's server.

There are two: through Prefect's own client (``prefect_client``), and plain HTTP (``prefect_http``), which a
command has in a tenth of the time that importing Prefect takes.
"""

from __future__ import annotations

import json as json_
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from skald_bridge.domain.errors import Failing


class Refused(Exception):
    """The server answered ``path`` with a status that is no success, and with ``text``."""

    def __init__(self, status: int, text: str, path: str) -> None:
        super().__init__(f"{path}: {status} {text[:200]}")
        self.status = status
        self.text = text
        self.path = path


class Broken(ConnectionError):
    """The connection broke before the answer: the server closes an idle one, perhaps just as it is used."""


class Events(Protocol):
    """An open event stream. What breaks it ends it: open another."""

    async def say(self, event: Mapping[str, Any]) -> None:
        """Send an event, as Prefect's JSON without id and time: each sending is an event of its own."""
        ...

    def heard(self) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        """Names and payloads of what the server tells from the opening on."""
        ...


class PrefectConnection(Protocol):
    @property
    def url(self) -> str:
        """Of the API."""
        ...

    async def request(
        self, method: str, path: str, json: object = None, params: Mapping[str, Any] | None = None
    ) -> Any:
        """JSON of the reply to a path below the API's URL, ``None`` for an empty one.

        ``json`` of ``None`` sends no body.

        Raises:
            Refused, Broken, OSError: where nothing answers; ``Failing`` for a reply that is no JSON.
        """
        ...

    def events(self, names: Sequence[str]) -> AbstractAsyncContextManager[Events]:
        """A stream that hears events of these names. A failure to open it is raised as it comes."""
        ...


START_PREFECT = "Start it with `skald up`, or set PREFECT_API_URL to a running Prefect server."
Connect = Callable[[], AbstractAsyncContextManager[PrefectConnection]]
"""Opens a connection. Raises ``Unavailable`` where none is configured."""


def read_reply(content: bytes, path: str) -> Any:
    """``None`` for nothing; raises ``Failing`` for what is no JSON."""
    try:
        return json_.loads(content) if content else None
    except (ValueError, RecursionError) as error:
        raise Failing(
            f"Prefect's API answered {path} with what is no JSON: {error}",
            remedy="Check that PREFECT_API_URL ends in /api, and what lies between it and the server.",
        ) from error
