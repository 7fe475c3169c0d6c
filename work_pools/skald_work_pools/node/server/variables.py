"""Prefect variables as claims: the server creates one of a name once, and knows it by its id from then on.

Who changes or removes a variable by its id never touches one that somebody else has made in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import Variable


async def read(client: PrefectClient, names: Sequence[str]) -> tuple[dict[str, Variable], datetime]:
    """Those of the names that exist, with one request, and the server's clock."""
    body = {"variables": {"name": {"any_": list(names)}}}
    answer = await client.request("POST", "/variables/filter", json=body)
    found = Variable.model_validate_list(answer.json())
    return {variable.name: variable for variable in found}, clock(answer)


async def create(client: PrefectClient, name: str, value: dict[str, Any], tags: Sequence[str]) -> UUID | None:
    """Its id; ``None`` when there is one of the name."""
    try:
        body = {"name": name, "value": value, "tags": list(tags)}
        answer = await client.request("POST", "/variables/", json=body)
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.CONFLICT:
            return None
        raise
    return UUID(answer.json()["id"])


async def write(client: PrefectClient, variable: UUID, value: dict[str, Any]) -> datetime | None:
    """The server's clock; ``None`` when there is no such variable any more."""
    return await _to(client, "PATCH", variable, {"value": value})


async def remove(client: PrefectClient, variable: UUID) -> bool:
    """Whether it was there still."""
    return await _to(client, "DELETE", variable) is not None


async def _to(client: PrefectClient, method: Any, variable: UUID, body: Any = None) -> datetime | None:
    try:
        answer = await client.request(method, "/variables/{id}", path_params={"id": variable}, json=body)
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.NOT_FOUND:
            return None
        raise
    return clock(answer)


def clock(answer: httpx.Response) -> datetime:
    """The server's clock, in whole seconds; this machine's where the server does not say."""
    try:
        return parsedate_to_datetime(answer.headers["Date"])
    except (KeyError, ValueError):
        return datetime.now(UTC)
