"""The newest picture of a source, which a task keeps while it works; a page shows it without touching the camera."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path
from fastapi.responses import Response

from skald_bridge.api.backend import Backend
from skald_bridge.api.problems import responses
from skald_bridge.api.reading import Given
from skald_bridge.domain.errors import NotFound
from skald_bridge.media.cache_names import CACHE_PREFIX, cached_name
from skald_bridge.ports import Pictures

router = APIRouter(prefix="/api/cache", tags=["media"])

Name = Annotated[
    str,
    Path(
        description="NAME of cache:NAME; its slashes, which this document cannot tell, stand as they are.",
        examples=["gate"],
        json_schema_extra={"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"},
    ),
]
_FRESH = {"Cache-Control": "no-store"}
_JPEG = b"\xff\xd8\xff"


@router.get(
    "/{name:path}.jpg",
    response_class=Response,
    responses={
        200: {
            "description": "A JPEG.",
            "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
        },
        **responses(404, 503),
    },
)
async def get_picture(backend: Given, name: Name) -> Response:
    """The newest picture that a task keeps in the cache under this name."""
    data = await _pictures(backend).picture(_checked(name))
    if data is None:
        raise _missing(name)
    if not data.startswith(_JPEG):
        raise NotFound(f"{CACHE_PREFIX}{name} holds something else than a JPEG", remedy="Look who writes it.")
    return Response(data, media_type="image/jpeg", headers=_FRESH)


@router.get("/{name:path}.json", responses=responses(404, 503))
async def get_findings(backend: Given, name: Name) -> dict[str, Any]:
    """What is known of that picture, and of its whole source once it was analysed."""
    data = await _pictures(backend).findings(_checked(name))
    if data is None:
        raise _missing(name)
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise NotFound(
            f"{CACHE_PREFIX}{name} holds findings that are no JSON object", remedy="Look who writes it."
        )
    return found


def _checked(name: str) -> str:
    """Raises ``InvalidInput``."""
    return cached_name(f"{CACHE_PREFIX}{name}", field="name")


def _pictures(backend: Backend) -> Pictures:
    if backend.pictures is None:
        raise NotFound("This bridge has no Redis, where pictures would be", remedy="Set REDIS_HOST.")
    return backend.pictures


def _missing(name: str) -> NotFound:
    return NotFound(
        f"{CACHE_PREFIX}{name} is not in the cache, or no longer",
        remedy="Start the task that keeps it, or let its picture live longer (pictureTtl).",
    )
