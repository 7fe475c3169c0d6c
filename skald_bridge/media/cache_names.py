"""``cache:NAME``, and the fields of attachments that say what is kept there. Pure."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.task_types import CAN_CHANGE

CACHE_PREFIX = "cache:"
PICTURE, FINDINGS, CLIP = "picture", "findings", "clip"
"""Fields of the hash that a name is: a JPEG, a JSON object, a video that somebody put there."""
_LONGEST = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")


def cached_name(text: str, *, field: str = "input") -> str:
    """The NAME of ``cache:NAME``; ``field`` is where it was written.

    Raises:
        InvalidInput: it is none.
    """
    name = text.removeprefix(CACHE_PREFIX)
    if text.startswith(CACHE_PREFIX) and len(name) <= _LONGEST and _NAME.fullmatch(name):
        return name
    raise InvalidInput(
        f"{field} {text[: 2 * _LONGEST]!r} is not cache:NAME",
        remedy=f"Write cache: and at most {_LONGEST} letters, digits, '.', '_', '-', parted by '/', "
        "such as cache:site-1/gate.",
    )


def cache_key(name: str) -> str:
    """Redis' key of a name."""
    return f"skald:cache:{name}"


def _checked(text: str) -> str:
    if text:
        try:
            cached_name(text, field="it:")
        except InvalidInput as error:
            raise ValueError(f"{error.message}. {error.remedy}") from None
    return text


CacheName = Annotated[
    str,
    AfterValidator(_checked),
    Field(
        title="Cache",
        description="cache:NAME keeps the newest picture and what was found in it in Redis; empty: nothing is kept.",
        examples=["cache:gate"],
    ),
]
CacheSeconds = Annotated[
    float,
    Field(
        ge=0.04,
        le=86_400,
        title="Cached every",
        description="Seconds between two pictures in the cache. Can change while the task runs.",
        json_schema_extra={CAN_CHANGE: True},
    ),
]
CacheWidth = Annotated[
    int, Field(ge=32, le=3840, title="Cached width", description="Of the cached picture, in pixels.")
]
PictureTtl = Annotated[
    float, Field(ge=0.1, le=31_536_000, title="Picture lives", description="Seconds in the cache.")
]
FindingsTtl = Annotated[
    float, Field(ge=0.1, le=31_536_000, title="Findings live", description="Seconds in the cache.")
]
RedisBlock = Annotated[
    str,
    Field(
        title="Redis",
        description="Redis Cache block for cache:NAME; empty: the Redis of the node's settings.",
    ),
]
