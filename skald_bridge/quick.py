"""Prefect for a short command, by nothing that it does not need: importing Prefect takes longer than an answer.

The bridge, and all else that keeps running, is put together in ``main``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from skald_bridge.ports import Engine


@asynccontextmanager
async def engine(url: str, settings: Mapping[str, str] | None) -> AsyncIterator[Engine]:
    """Prefect at ``url``, which is this process' PREFECT_API_URL.

    ``settings``: the environment, and what else is set of Prefect's by the names of its variables; with ``None``,
    or with one that plain HTTP knows nothing of, Prefect's own client is imported.
    """
    from skald_bridge.adapters.prefect import PrefectEngine
    from skald_bridge.adapters.prefect_http import plain_http
    from skald_bridge.adapters.prefect_settings import plain_login

    login = plain_login(url, settings) if settings is not None else None
    made = PrefectEngine() if login is None else PrefectEngine(lambda: plain_http(url, login.auth_string))
    async with made as prefect:
        yield prefect
