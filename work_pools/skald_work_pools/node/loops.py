"""The loops of a node: each is begun again when it fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

_AGAIN_AFTER = 1.0
_log = logging.getLogger("skald.node")


class Loops:
    """Runs parts of a node side by side until they are cancelled."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Keep ``run`` at work; a return ends it."""

        async def kept() -> None:
            while True:
                try:
                    await run()
                    return
                except Exception:
                    _log.exception("a part of the node failed; it is started again")
                    await asyncio.sleep(_AGAIN_AFTER)

        self._tasks.append(asyncio.create_task(kept()))

    async def cancel(self) -> None:
        """End them all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
