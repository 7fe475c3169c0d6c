"""Posting a batch so that one item that the server refuses takes no other with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import httpx

T = TypeVar("T")
_ERRORS = (httpx.HTTPError, ValueError, TypeError)
SUSPECTS = 4
"""Items that the server fails to take, with an internal error, before it is the server that is broken."""
_OF_THE_CONTENT = frozenset({400, 413, 414, 422})


@dataclass
class Delivery(Generic[T]):
    """What became of a batch's items, each list in their order; ``left`` were not taken because of ``error``."""

    taken: list[T] = field(default_factory=list)
    refused: list[tuple[T, str]] = field(default_factory=list)
    left: list[T] = field(default_factory=list)
    error: Exception | None = None


async def deliver(batch: Sequence[T], post: Callable[[Sequence[T]], Awaitable[None]]) -> Delivery[T]:
    """Post all of the batch, in order, in as few requests as its refused items allow.

    Items that the server names in its answer are left out; where it names none the batch is halved. An internal
    error is an item's fault only when the server takes others beside it, and fails when asked once more.
    """
    delivery = Delivery[T]()
    suspects: list[T] = []
    post = _reconnecting(post)
    pending: list[Sequence[T]] = [batch]
    while pending:
        part = pending.pop()
        if not part:
            continue
        try:
            await post(part)
        except _ERRORS as error:
            refusal = _is_refusal(error)
            if not refusal and (not _is_internal(error) or len(suspects) == SUSPECTS):
                delivery.error = error
                delivery.left = [*suspects, *part, *(item for each in reversed(pending) for item in each)]
                return delivery
            named = named_items(error, len(part)) if refusal else {}
            reason = _reason(error)
        else:
            delivery.taken += part
            continue
        if named:
            delivery.refused += [(part[place], why) for place, why in named.items()]
            pending.append([item for place, item in enumerate(part) if place not in named])
        elif len(part) > 1:
            middle = len(part) // 2
            pending += [part[middle:], part[:middle]]
        elif refusal:
            delivery.refused.append((part[0], reason))
        else:
            suspects.append(part[0])
    return await _retry_suspects(delivery, suspects, post)


def _reconnecting(post: Callable[[Sequence[T]], Awaitable[None]]) -> Callable[[Sequence[T]], Awaitable[None]]:
    """``post``, tried twice after an internal error: the server hangs up after it, and pooled connections end."""
    hung_up = False

    async def tried(part: Sequence[T]) -> None:
        nonlocal hung_up
        try:
            try:
                await post(part)
            except httpx.TransportError:
                if not hung_up:
                    raise
                await post(part)
        except httpx.HTTPStatusError as error:
            hung_up = _is_internal(error)
            raise

    return tried


def named_items(error: Exception, count: int) -> dict[int, str]:
    """Places, of ``count``, of the items that a 422 names as invalid, each with the reason."""
    if not isinstance(error, httpx.HTTPStatusError):
        return {}
    try:
        answer = error.response.json()
        details = answer.get("exception_detail") or answer.get("detail")
        found: dict[int, str] = {}
        for detail in details:
            place = _place(detail["loc"])
            if place is not None and place < count:
                found.setdefault(
                    place, f"{'.'.join(map(str, detail['loc'][2:]))}: {detail['msg']}".lstrip(": ")
                )
        return dict(sorted(found.items()))
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


async def _retry_suspects(
    delivery: Delivery[T], suspects: list[T], post: Callable[[Sequence[T]], Awaitable[None]]
) -> Delivery[T]:
    for place, item in enumerate(suspects):
        try:
            await post([item])
            delivery.taken.append(item)
        except _ERRORS as error:
            if not delivery.taken or not _is_internal(error):
                delivery.error, delivery.left = error, suspects[place:]
                return delivery
            delivery.refused.append((item, _reason(error)))
    return delivery


def _place(location: Any) -> int | None:
    """Of an item in the body: its validation errors are located at ``["body", place, field, …]``."""
    return location[1] if len(location) > 1 and isinstance(location[1], int) else None


def _is_refusal(error: Exception) -> bool:
    """Whether the content is at fault: what cannot be written as JSON now cannot be later, either."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _OF_THE_CONTENT
    return not isinstance(error, httpx.HTTPError)


def _is_internal(error: Exception) -> bool:
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code == httpx.codes(500)


def _reason(error: Exception) -> str:
    """Without the request, which the server repeats in its answer."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code} {error.response.reason_phrase}".strip()
    return str(error)[:500]
