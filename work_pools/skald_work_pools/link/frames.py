"""Messages as bytes, and back: one JSON object a frame, with the protocol's version and the message's kind."""

from __future__ import annotations

import math
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from skald_work_pools.link.messages import (
    Alive,
    Changes,
    Hello,
    Message,
    Offer,
    Refused,
    Taken,
    Welcome,
)

VERSION = 1
LARGEST = 2**20
"""Bytes of a frame at most; Prefect takes runs of half as much."""
_KINDS: dict[str, type[Message]] = {
    "hello": Hello,
    "changes": Changes,
    "taken": Taken,
    "refused": Refused,
    "alive": Alive,
    "welcome": Welcome,
    "offer": Offer,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_ADAPTERS: dict[str, TypeAdapter[Message]] = {name: TypeAdapter(kind) for name, kind in _KINDS.items()}
_SAID = 300


class BadFrame(ValueError):
    """No frame of this protocol; the message says why."""


class WrongVersion(BadFrame):
    """The other side speaks another version of it."""


class TooLarge(ValueError):
    """The message does not fit into a frame."""


def encode(message: Message) -> bytes:
    """Raises ``TooLarge``."""
    name = _NAMES[type(message)]
    body = _ADAPTERS[name].dump_json(message, exclude_defaults=True)
    frame = b'{"v":%d,"kind":"%s","body":%s}' % (VERSION, name.encode(), body)
    if len(frame) > LARGEST:
        raise TooLarge(f"{name}: {len(frame)} bytes, at most {LARGEST} go into a frame")
    return frame


def decode(frame: bytes | str) -> Message | None:
    """The message; ``None`` for one of a kind that is not known here.

    Raises:
        WrongVersion, BadFrame: close the link.
    """
    if len(frame) > LARGEST:
        raise BadFrame(f"a frame of {len(frame)} bytes; at most {LARGEST} are read")
    try:
        found = orjson.loads(frame)
    except ValueError as error:
        raise BadFrame(f"a frame that is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadFrame("a frame that is no JSON object")
    if (version := found.get("v")) != VERSION or isinstance(version, bool):
        raise WrongVersion(
            f"version {str(version)[:20]} of the link's protocol; {VERSION} is spoken here: "
            "install the same version of prefect-skald for bridge and nodes"
        )
    adapter = _ADAPTERS.get(kind) if isinstance(kind := found.get("kind"), str) else None
    if adapter is None:
        return None
    try:
        message = adapter.validate_python(found.get("body"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadFrame(f"{kind}: {where}: {first['msg']}"[:_SAID]) from error
    if isinstance(message, Hello) and not _is_possible(message):
        raise BadFrame("hello: capacity: no node has that")
    return message


def _is_possible(hello: Hello) -> bool:
    has = hello.capacity
    numbers: list[Any] = [has.cpus, has.memory, *(gpu.memory for gpu in has.gpus)]
    return all(math.isfinite(number) and number >= 0 for number in numbers)
