"""Prefect's HTTP API through its public client, with this product's errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self, cast

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from skald_bridge.domain.errors import InvalidInput, NotFound, Rejected, SkaldError, Unavailable
from work_pools.pages import PAGE, batches, read_all, read_all_moving

_START = "Start it with `skald up`, or set PREFECT_API_URL to a running Prefect server."


class PrefectApi:
    """One connection; usable after ``async with``."""

    def __init__(self) -> None:
        self._client: PrefectClient | None = None
        self._flow_names: dict[str, str] = {}
        self._deployment_names: dict[str, str] = {}
        self.served: dict[str, tuple[float, Mapping[str, Any]]] = {}
        """Deployments by class name, with the loop's time when they were asked for."""

    async def __aenter__(self) -> Self:
        if not get_current_settings().api.url:
            raise Unavailable(
                "PREFECT_API_URL is not set",
                remedy=_START,
            )
        self._client = await get_client().__aenter__()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.__aexit__(None, None, None)

    @property
    def client(self) -> PrefectClient:
        if self._client is None:
            raise RuntimeError("The engine is used outside its `async with`.")
        return self._client

    async def call(
        self, method: str, path: str, json: object = None, params: Mapping[str, Any] | None = None
    ) -> Any:
        """A question; JSON of the reply, ``None`` for an empty one.

        Raises:
            Unavailable, NotFound, InvalidInput, Rejected: the cause is chained.
        """
        try:
            try:
                return await self._send(method, path, json, params)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                # The server closed an idle connection just as it was used.
                return await self._send(method, path, json, params)
        except Exception as error:
            raise translated(error) from error

    async def _send(self, method: str, path: str, json: object, params: Mapping[str, Any] | None) -> Any:
        options: dict[str, Any] = {} if json is None else {"json": json}
        response: httpx.Response = await cast(Any, self.client).request(
            method, path, params=params, **options
        )
        return response.json() if response.content else None

    async def pages(self, path: str, body: Mapping[str, Any], limit: int | None = None) -> list[Any]:
        """All results of a filter route, or the first ``limit``."""

        async def read(size: int, offset: int) -> list[Any]:
            page: list[Any] = await self.call("POST", path, {**body, "limit": size, "offset": offset})
            return page

        if limit is None:
            # Workers stand in the order of their heartbeats, which come meanwhile.
            return await (read_all_moving(read) if path.endswith("/workers/filter") else read_all(read))
        found: list[Any] = []
        offset = int(body.get("offset", 0))
        while len(found) < limit:
            size = min(PAGE, limit - len(found))
            page = await read(size, offset + len(found))
            found.extend(page)
            if len(page) < size:
                break
        return found

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


def translated(error: Exception) -> Exception:
    """An error of Prefect's client in this product's words; one of no kind known here as it is."""
    if isinstance(error, SkaldError):
        return error
    if isinstance(error, ObjectNotFound):
        return translated(error.http_exc)
    if isinstance(error, httpx.HTTPStatusError):
        return _by_status(error)
    if isinstance(error, (httpx.TransportError, OSError, AssertionError)):
        return Unavailable(
            f"Prefect's API at {get_current_settings().api.url} does not answer",
            remedy=_START,
        )
    return error


def _by_status(error: httpx.HTTPStatusError) -> SkaldError:
    code, detail = error.response.status_code, _detail(error.response)
    if code == 404:
        return NotFound(f"Prefect does not know {error.request.url.path}: {detail}")
    if code in (401, 403):
        return Rejected(
            f"Prefect refuses the credentials: {detail}",
            remedy="Set PREFECT_API_AUTH_STRING (or PREFECT_API_KEY) to the server's.",
        )
    if code in (400, 409, 422):
        return InvalidInput(detail)
    return Unavailable(
        f"Prefect's API answered {code}: {detail}", remedy="Look into the server's log; try again."
    )


def _detail(response: httpx.Response) -> str:
    try:
        data = response.json()
    except ValueError:
        return response.text[:500]
    if not isinstance(data, dict):
        return str(data)[:500]
    found = data.get("detail") or data.get("exception_message") or data.get("exception_detail") or data
    return str(found)[:2000]
