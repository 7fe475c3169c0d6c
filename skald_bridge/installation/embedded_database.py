"""The embedded server's SQLite: a transaction that may write takes the write lock when it begins.

Prefect begins most of them as readers. SQLite cannot let a reader write once another has written, and says
"database is locked" at once, whatever the busy timeout; Prefect answers 503, and its client waits for seconds
before it tries again. One that begins as a writer waits for milliseconds instead.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration
from prefect.server.database.dependencies import MODELS_DEPENDENCIES
from prefect.server.utilities.database import get_dialect
from prefect.settings import get_current_settings
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction


class WriteLockFirst(AioSqliteConfiguration):
    @asynccontextmanager
    async def begin_transaction(
        self, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        outer = SQLITE_BEGIN_MODE.get()
        if outer is not None:
            # Inside another transaction, which may hold the lock: as Prefect has it.
            async with super().begin_transaction(session, with_for_update) as transaction:
                yield transaction
            return
        token = SQLITE_BEGIN_MODE.set("IMMEDIATE")
        try:
            async with session.begin() as transaction:
                await session.connection()
                # Sessions opened inside inherit the mode: they must not ask for the lock that is held here.
                SQLITE_BEGIN_MODE.set("DEFERRED")
                yield transaction
        finally:
            SQLITE_BEGIN_MODE.reset(token)


def install() -> None:
    """For this process, before its server starts; nothing where the database is not SQLite."""
    url = get_current_settings().server.database.connection_url
    if url is not None and get_dialect(url.get_secret_value()).name == "sqlite":
        MODELS_DEPENDENCIES["database_config"] = WriteLockFirst(url.get_secret_value())
