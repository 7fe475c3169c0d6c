"""Pictures, clips and findings in Redis: each name a hash, each of its fields with its own time to live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import ValidationError

from skald_blocks import RedisCache
from skald_blocks.environment import EnvironmentProblem
from skald_bridge.domain.errors import InvalidInput, NotFound, Unavailable
from skald_bridge.media.cache_names import CACHE_PREFIX, CLIP, PICTURE, cache_key
from skald_bridge.media.inputs import Source, local_source
from skald_bridge.media.still import is_jpeg, jpeg_as_video

if TYPE_CHECKING:
    from redis import Redis
    from redis.exceptions import ResponseError

BLOCK_ENV = "SKALD_REDIS_BLOCK"
LARGEST = 256 * 2**20
"""Bytes of the largest object that is read."""
_ANSWER_SECONDS = 3.0
Fields: TypeAlias = Mapping[str, tuple[bytes, float]]
"""Field → what it holds, and the seconds it lives."""


def redis_named(block: str, environment: Mapping[str, str], *, field: str) -> RedisCache:
    """The Redis Cache block ``block``; without a name, the node's: SKALD_REDIS_BLOCK, else REDIS_HOST and the like.

    ``field``: whose value needs it. Nothing is connected.

    Raises:
        InvalidInput: there is none, or its settings are wrong. NotFound: no such block.
    """
    name = block or environment.get(BLOCK_ENV, "").strip()
    if name:
        try:
            found: Any = RedisCache.load(name)
        except ValueError as error:
            raise NotFound(
                f"redis {name!r}: there is no Redis Cache block of this name",
                remedy="Create it on the Blocks page, or leave redis empty for the Redis of the node's settings.",
            ) from error
        assert isinstance(found, RedisCache)
        return found
    if not environment.get("REDIS_HOST", "").strip():
        raise InvalidInput(
            f"{field} names the cache, but this node has no Redis",
            remedy="Set REDIS_HOST where the node is started, or name a Redis Cache block in redis.",
        )
    try:
        return RedisCache.from_environment(environment)
    except (EnvironmentProblem, ValidationError) as error:
        said = str(error) if isinstance(error, EnvironmentProblem) else error.errors()[0]["msg"]
        raise InvalidInput(f"The node's Redis: {said}", remedy="Correct the REDIS_… settings.") from None


@dataclass(frozen=True)
class CachedObject:
    """One object of the cache, not yet looked at."""

    name: str
    data: bytes


class Cache:
    """A connection to one Redis, made at the first command; every answer is waited for 3 s at most.

    Asked once more only at once, where the server has closed an idle connection: redis-py by itself would try for
    up to ten seconds, also after a wrong password.
    """

    def __init__(self, where: RedisCache) -> None:
        from redis.backoff import NoBackoff
        from redis.exceptions import ConnectionError as ConnectionLost
        from redis.retry import Retry

        self._client: Redis = where.get_client(
            decode_responses=False,
            socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionLost,)),
        )
        self._place = f"{where.host}:{where.port}"
        self._each = True

    def close(self) -> None:
        self._client.close()

    def write(self, name: str, fields: Fields) -> None:
        """Replace ``fields``, all or none; the others stay as they are.

        Redis before 7.4 lets whole names expire alone: there all fields live as long as the longest of them.

        Raises:
            Unavailable: Redis does not answer, or refuses.
        """
        from redis.exceptions import ResponseError

        try:
            self._write(name, fields)
        except ResponseError as error:
            if not (self._each and _knows_no_expiry(error)):
                raise self._explained(error) from None
            self._each = False
            self.write(name, fields)
        except Exception as error:
            raise self._explained(error) from None

    def _write(self, name: str, fields: Fields) -> None:
        key = cache_key(name)
        with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(key, mapping={field: data for field, (data, _) in fields.items()})
            if self._each:
                for field, (_, seconds) in fields.items():
                    pipe.hpexpire(key, round(seconds * 1000), field)
            else:
                pipe.pexpire(key, round(max(seconds for _, seconds in fields.values()) * 1000))
            pipe.execute()

    def read(self, name: str, *, field: str = "input") -> CachedObject:
        """The clip of this name, else its picture; ``field`` is where the name was written.

        Raises:
            NotFound: it holds none, or no longer. InvalidInput: it is too large. Unavailable: no answer.
        """
        try:
            data = self._read(cache_key(name))
        except Exception as error:
            raise self._explained(error) from None
        if data is None:
            raise NotFound(
                f"{field} {CACHE_PREFIX}{name} is not in the cache, or no longer (Redis at {self._place})",
                remedy="Start the task that keeps it, or let its picture live longer (pictureTtl).",
            )
        if isinstance(data, int):
            raise InvalidInput(
                f"{field} {CACHE_PREFIX}{name} has {data:,} bytes; at most {LARGEST:,} are read from the cache",
                remedy="Put large videos into the media store.",
            )
        return CachedObject(name, data)

    def _read(self, key: str) -> bytes | int | None:
        """The bytes; their number, where there are too many."""
        client: Any = self._client
        kind = client.type(key)
        if kind == b"string":
            size = client.strlen(key)
            whole: bytes | None = client.get(key) if size <= LARGEST else None
            return int(size) if size > LARGEST else whole
        if kind != b"hash":
            return None
        for field in (CLIP, PICTURE):
            size = client.hstrlen(key, field)
            if size > LARGEST:
                return int(size)
            data: bytes | None = client.hget(key, field)
            if data:
                return data
        return None

    def _explained(self, error: Exception) -> Unavailable:
        said = str(error).strip() or type(error).__name__
        return Unavailable(
            f"the cache (Redis at {self._place}) does not take part: {said}",
            remedy="Start Redis, or correct REDIS_HOST, REDIS_USERNAME and REDIS_PASSWORD; "
            "the user must be let at skald:cache:*.",
        )


def as_source(stored: CachedObject, scratch: Path, *, field: str = "input") -> Source:
    """A cached object as a local video in ``scratch``: a picture becomes a video of one picture.

    Raises:
        BadMedia: a picture that cannot be read.
    """
    base = stored.name.rpartition("/")[2]
    if is_jpeg(stored.data):
        path = jpeg_as_video(
            stored.data, scratch / f"{base}.mkv", shown=f"{field} {CACHE_PREFIX}{stored.name}"
        )
    else:
        path = scratch / f"{base}.cached"
        path.write_bytes(stored.data)
    return local_source(path)


def _knows_no_expiry(error: ResponseError) -> bool:
    said = str(error).lower()
    return "unknown command" in said or "execabort" in said or "previous errors" in said
