"""What a task keeps in the cache while it works, as its attachments ask for it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, Protocol

from skald_bridge.media.cache import Cache, redis_named
from skald_bridge.media.cache_names import cached_name
from skald_bridge.media.displayed import upright
from skald_bridge.media.frames import grab
from skald_bridge.media.inputs import Source
from skald_bridge.media.newest import Keeping, Newest, ShownPicture
from skald_bridge.media.probe import Probe


class CacheRequest(Protocol):
    """The fields of attachments that ``cache_names`` describes."""

    cache: str
    cache_width: int
    picture_ttl: float
    findings_ttl: float
    redis: str


@contextlib.contextmanager
def kept_in_cache(
    asked: CacheRequest, every: Callable[[], float], say: Callable[[str], None]
) -> Iterator[Newest | None]:
    """The writer that ``asked`` wants; ``None`` where it wants none. ``every``: seconds between two pictures.

    Raises:
        InvalidInput, NotFound: this node has no such Redis.
    """
    if not asked.cache:
        yield None
        return
    name = cached_name(asked.cache, field="cache")
    cache = Cache(redis_named(asked.redis, os.environ, field="cache"))
    keeping = Keeping(name, every, asked.picture_ttl, asked.findings_ttl, asked.cache_width)
    with Newest(cache, keeping, say) as newest:
        yield newest


def frames_into(newest: Newest, facts: Probe) -> Callable[[float, Any], None]:
    """Takes decoded pictures and their times in seconds."""
    aspect = Fraction(*facts.pixel_aspect)

    def take(at: float, frame: Any) -> None:
        if newest.due():
            newest.offer(lambda: ShownPicture(upright(frame, aspect, newest.keeping.width), at))

    return take


def places_into(newest: Newest, local: Source, facts: Probe) -> Callable[[float], None]:
    """Takes the seconds of ``local`` that others have worked on: the picture there is decoded for the cache alone."""

    def shown(at: float) -> ShownPicture | None:
        found = grab(local, facts, [at], width=newest.keeping.width)
        return ShownPicture(found[0], at) if found else None

    def take(at: float) -> None:
        if newest.due():
            newest.offer(lambda: shown(at))

    return take
