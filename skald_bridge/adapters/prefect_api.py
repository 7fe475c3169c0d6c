"""Prefect's HTTP API over a connection, with this product's errors."""

from __future__ import annotations

import json as json_
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any

from skald_bridge.adapters.prefect_connection import (
    START_PREFECT,
    Broken,
    Connect,
    PrefectConnection,
    Refused,
)
from skald_bridge.adapters.prefect_unreadable import is_stub, read_around
from skald_bridge.domain.errors import Denied, Failing, InvalidInput, NotFound, SkaldError, Unavailable
from skald_work_pools.pages import PAGE, batches, read_all, read_all_moving

_LATER = (408, 425, 429)
"""Refusals of this moment, not of what was asked."""


class PrefectApi:
    """One connection; usable once it is open."""

    def __init__(
        self, connect: Connect | None = None, left_out: Callable[[str, str], object] = lambda path, id_: None
    ) -> None:
        """Without ``connect``, through Prefect's own client.

        ``left_out`` hears of each entry of a filter route, and its id, that Prefect cannot show.
        """
        self._connect = connect
        self._left_out = left_out
        self._connection: PrefectConnection | None = None
        self._stack = AsyncExitStack()
        self._flow_names: dict[str, str] = {}
        self._deployment_names: dict[str, str] = {}

    async def open(self) -> None:
        self._connection = await self._stack.enter_async_context((self._connect or _prefect_client())())

    async def close(self) -> None:
        self._connection = None
        await self._stack.aclose()

    @property
    def connection(self) -> PrefectConnection:
        if self._connection is None:
            raise RuntimeError("The engine is used outside its `async with`.")
        return self._connection

    async def call(
        self, method: str, path: str, json: object = None, params: Mapping[str, Any] | None = None
    ) -> Any:
        """A question; JSON of the reply, ``None`` for an empty one.

        Raises:
            Unavailable, NotFound, InvalidInput: the cause is chained; ``Failing`` where Prefect answers with an error
                of its own.
        """
        try:
            try:
                return await self.send(method, path, json, params)
            except Broken:
                return await self.send(method, path, json, params)
        except Exception as error:
            raise self.translated(error) from error

    async def send(
        self, method: str, path: str, json: object = None, params: Mapping[str, Any] | None = None
    ) -> Any:
        """As ``call``, but once, for what must not be done twice; errors are raised as they come."""
        return await self.connection.request(method, path, json, params)

    def translated(self, error: Exception) -> Exception:
        """An error of this connection in this product's words."""
        return translated(error, self.connection.url)

    async def pages(self, path: str, body: Mapping[str, Any], limit: int | None = None) -> list[Any]:
        """All results of a filter route, or the first ``limit``; without those that Prefect cannot show."""

        async def read(size: int, offset: int) -> list[Any]:
            return await self.page(path, body, size, offset)

        if limit is None:
            # Workers stand in the order of their heartbeats, which come meanwhile.
            rows = await (read_all_moving(read) if path.endswith("/workers/filter") else read_all(read))
            return [row for row in rows if not is_stub(row)]
        found: list[Any] = []
        offset = int(body.get("offset", 0))
        while len(found) < limit:
            size = min(PAGE, limit - len(found))
            page = await read(size, offset + len(found))
            found.extend(page)
            if len(page) < size:
                break
        return [row for row in found if not is_stub(row)]

    async def page(self, path: str, body: Mapping[str, Any], limit: int, offset: int) -> list[Any]:
        """One page of a filter route, with a stub for each entry that Prefect cannot show."""

        async def read(size: int, start: int) -> list[Any]:
            rows: list[Any] = await self.call("POST", path, {**body, "limit": size, "offset": start})
            return rows

        async def name(place: int) -> str:
            id_ = await self._id_at(path, body, place)
            self._left_out(path, id_)
            return id_

        return await read_around(read, limit, offset, name, self._works)

    async def _id_at(self, path: str, body: Mapping[str, Any], place: int) -> str:
        """Prefect's own page asks for runs without what cannot be shown of them."""
        if path == "/flow_runs/filter":
            with suppress(SkaldError):
                rows = await self.call("POST", "/ui/flow_runs/history", {**body, "limit": 1, "offset": place})
                return str(rows[0]["id"]) if rows else f"{path}#{place}"
        return f"{path}#{place}"

    async def _works(self) -> object:
        return await self.call("POST", "/flow_runs/count", {})

    async def flow_names(self, flows: Iterable[str]) -> dict[str, str]:
        """Flow id to name; a name never changes, so each is asked for once."""
        return await self._names("/flows/filter", "flows", set(flows), self._flow_names)

    async def deployment_names(self, deployments: Iterable[str]) -> dict[str, str]:
        """Deployment id to name; one deleted meanwhile has none."""
        return await self._names(
            "/deployments/filter", "deployments", set(deployments), self._deployment_names
        )

    async def _names(self, path: str, kind: str, ids: set[str], known: dict[str, str]) -> dict[str, str]:
        for some in batches(sorted(ids - known.keys())):
            rows = await self.call("POST", path, {kind: {"id": {"any_": some}}, "limit": PAGE})
            known.update(dict.fromkeys(some, "") | {row["id"]: row["name"] for row in rows})
        return known


def _prefect_client() -> Connect:
    from skald_bridge.adapters.prefect_client import prefect_client

    return prefect_client


def translated(error: Exception, url: str) -> Exception:
    """An error of a connection to ``url`` in this product's words; one of no kind known here as it is."""
    if isinstance(error, SkaldError):
        return error
    if isinstance(error, Refused):
        return _by_status(error)
    if isinstance(error, OSError):
        return Unavailable(
            f"Prefect's API at {url} does not answer",
            remedy=START_PREFECT,
        )
    return error


def _by_status(error: Refused) -> SkaldError:
    code, detail = error.status, _detail(error.text)
    if code == 404:
        return NotFound(f"Prefect does not know {error.path}: {detail}")
    if code in (401, 403):
        return Denied(
            f"Prefect refuses the credentials: {detail}",
            remedy="Set PREFECT_API_AUTH_STRING (or PREFECT_API_KEY) to the server's.",
        )
    if 400 <= code < 500 and code not in _LATER:
        return InvalidInput(detail)
    kind = Failing if code == 500 else Unavailable
    return kind(f"Prefect's API answered {code}: {detail}", remedy="Look into the server's log; try again.")


def _detail(text: str) -> str:
    try:
        data = json_.loads(text)
    except (ValueError, RecursionError):
        return text[:500]
    if not isinstance(data, dict):
        return str(data)[:500]
    found = data.get("detail") or data.get("exception_message") or data.get("exception_detail") or data
    return str(found)[:2000]
