"""Prefect's HTTP clients: quick to make, warm before a run is known, and silent where the answer is known."""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import prefect.client.orchestration as orchestration
import prefect.results as results
from prefect.context import SettingsContext, SyncClientContext, get_settings_context
from prefect.utilities.asyncutils import run_coro_as_sync

from skald_work_pools.retrying import insist, pauses, unanswered


def share_ssl_contexts() -> None:
    """Make one TLS context per certificate file, not one per client (70 ms each); forks share what was made."""
    if isinstance(orchestration.ssl, SimpleNamespace):  # type: ignore[attr-defined]
        return
    made = functools.cache(ssl.create_default_context)
    orchestration.ssl = SimpleNamespace(  # type: ignore[assignment,attr-defined]
        SSLContext=ssl.SSLContext, CERT_NONE=ssl.CERT_NONE, create_default_context=made
    )


def no_retries() -> SettingsContext:
    """Settings under which a client makes each request once."""
    context = get_settings_context()
    # Not copy_with_update: it reads all of Prefect's settings anew, 60 ms of work in every child.
    client = context.settings.client.model_copy(update={"max_retries": 0})
    settings = context.settings.model_copy(update={"client": client})
    return SettingsContext(profile=context.profile, settings=settings)


def know_result_storage(block_id: UUID | None) -> None:
    """Answer the look-ups of the server's default result storage from memory."""

    async def known_async() -> UUID | None:
        return block_id

    results._read_server_default_result_storage_block_id = lambda: block_id
    results._aread_server_default_result_storage_block_id = known_async


def warm() -> None:
    """Open this process's sync client, which asks for the server's version; stays open until the process ends."""
    SyncClientContext().__enter__()
    run_coro_as_sync(_nothing())


def warm_at_last() -> None:
    """``warm``, unless that is done already: tried until the server answers."""
    for pause in pauses():
        if SyncClientContext.get() is not None:
            return
        try:
            warm()
        except RuntimeError as error:
            # So a client says that it could not ask; of versions that do not match there is no cause.
            if not (isinstance(error.__cause__, Exception) and unanswered(error.__cause__)):
                raise
            time.sleep(pause)


async def _nothing() -> None:
    """Starts the loop that the engine runs coroutines on."""


def insist_once(client: Any, method: str, coroutine: bool = False) -> None:
    """The client's next call of ``method`` is made until the server answers."""
    call = getattr(client, method)

    def insisting(*args: Any, **more: Any) -> Any:
        delattr(client, method)
        wait = pauses()
        while True:
            try:
                return call(*args, **more)
            except httpx.HTTPError as error:
                if not unanswered(error):
                    raise
            time.sleep(next(wait))

    async def insisting_async(*args: Any, **more: Any) -> Any:
        delattr(client, method)
        return await insist(lambda: call(*args, **more), method)

    setattr(client, method, insisting_async if coroutine else insisting)


def answer_once(client: Any, method: str, answer: Callable[[], Any], coroutine: bool = False) -> None:
    """The client's next call of ``method`` gets ``answer()`` and sends nothing."""

    def answered(*_: Any, **__: Any) -> Any:
        delattr(client, method)
        return answer()

    async def answered_async(*args: Any, **kwargs: Any) -> Any:
        return answered(*args, **kwargs)

    setattr(client, method, answered_async if coroutine else answered)
