"""Redis' errors: of the server at this moment, or of one key or value; and what to do about them."""

from __future__ import annotations

from typing import Any

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

_OF_THE_SERVER = frozenset(
    [
        "OOM",
        "READONLY",
        "LOADING",
        "BUSY",
        "MISCONF",
        "NOREPLICAS",
        "MASTERDOWN",
        "CLUSTERDOWN",
        "TRYAGAIN",
        "MOVED",
        "ASK",
        "NOAUTH",
        "NOPERM",
        "WRONGPASS",
        "UNBLOCKED",
        "EXECABORT",
    ]
)
"""How the errors begin that a command meets whatever its keys and values are."""


def is_everybodys(error: RedisError) -> bool:
    """Whether the error is the server's of this moment, and not one of the command's keys or values."""
    if not isinstance(error, ResponseError) or isinstance(error, AuthenticationError | NoPermissionError):
        return True
    return str(error).partition(" ")[0] in _OF_THE_SERVER or isinstance(
        error, OutOfMemoryError | ReadOnlyError
    )


async def readable(asked: Any, otherwise: Any) -> Any:
    """The reply; ``otherwise`` where the key is of another type than Skalds writes."""
    try:
        return await asked
    except ResponseError as error:
        if is_everybodys(error):
            raise
        return otherwise


def remedy(error: Exception) -> str:
    """What to do about it."""
    said = str(error)
    if isinstance(error, AuthenticationError | NoPermissionError):
        return "Set REDIS_USERNAME and REDIS_PASSWORD to a user that may write skalds:* and task:*."
    if isinstance(error, OutOfMemoryError) or said.startswith("OOM"):
        return "It is full: raise its maxmemory, or choose a maxmemory-policy that evicts."
    if isinstance(error, ReadOnlyError) or said.startswith("READONLY"):
        return "It is a replica: point REDIS_HOST at the primary."
    if said.startswith(("MISCONF", "NOREPLICAS")):
        return "It refuses writes that it could not save: look at its disk, its replicas and its log."
    if isinstance(error, ResponseError) and not isinstance(error, BusyLoadingError):
        return "It answers, and refuses: its message says what."
    return "Start Redis, or correct REDIS_HOST and REDIS_PORT."
