"""What a task needs around its media: the store, the input, a verdict that no retry can change."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from prefect import get_client, runtime
from prefect.blocks.system import Secret
from prefect.client.schemas.objects import FlowRunPolicy

from skald_blocks import MediaStore
from skald_bridge.domain.errors import InvalidInput, NotFound
from skald_bridge.domain.ids import TaskId, short
from skald_bridge.media import fetch
from skald_bridge.media.cache import Cache, as_source, redis_named
from skald_bridge.media.cache_names import CACHE_PREFIX, cached_name
from skald_bridge.media.inputs import Policy, Source

SECRET_PREFIX = "secret:"  # noqa: S105


def store_named(name: str) -> MediaStore:
    """The MediaStore block ``name``; the local folder in SKALD_HOME for an empty name.

    Raises:
        NotFound: there is no such block.
    """
    if not name:
        return MediaStore()
    try:
        found = MediaStore.load(name)
    except ValueError as error:
        raise NotFound(
            f"store {name!r}: there is no Media Store block of this name",
            remedy="Create it on the Blocks page, or leave store empty for the folder in SKALD_HOME.",
        ) from error
    assert isinstance(found, MediaStore)
    return found


def resolve(text: str, store: MediaStore, scratch: Path, *, name: str = "input", redis: str = "") -> Source:
    """``fetch.resolve`` under this machine's policy; ``secret:NAME`` is the URL that a Secret block keeps.

    ``cache:NAME`` is what Redis holds: of the block ``redis``, or of the node's settings.

    Raises:
        InvalidInput, NotFound: it may not be used, or is not there. Unavailable: Redis does not answer.
    """
    if text.startswith(SECRET_PREFIX):
        text = _secret(text.removeprefix(SECRET_PREFIX), name)
    if text.startswith(CACHE_PREFIX):
        cached = cached_name(text, field=name)
        with contextlib.closing(Cache(redis_named(redis, os.environ, field=name))) as cache:
            return as_source(cache.read(cached, field=name), scratch, field=name)
    return fetch.resolve(text, Policy.of(os.environ), store, scratch, name=name)


def output_folder(given: str, kind: str) -> str:
    """Where in the store a task's files go: ``given``, else a folder of its own under ``kind``."""
    return given.strip("/") or f"{kind}/{short(TaskId(str(runtime.flow_run.get_id() or 'local')))}"


@contextlib.contextmanager
def bad_input_is_final() -> Iterator[None]:
    """Input that is wrong stays wrong: a task that fails of it is not started again."""
    try:
        yield
    except (InvalidInput, NotFound):
        if run_id := runtime.flow_run.get_id():
            with get_client(sync_client=True) as client:
                client.update_flow_run(UUID(run_id), empirical_policy=FlowRunPolicy(retries=0))
        raise


def _secret(block: str, name: str) -> str:
    try:
        value = Secret.load(block).get()  # type: ignore[union-attr]
    except ValueError as error:
        raise NotFound(
            f"{name} {SECRET_PREFIX}{block}: there is no Secret block of this name",
            remedy="Create a Secret block that holds the URL.",
        ) from error
    return str(value)
