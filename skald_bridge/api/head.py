"""HEAD wherever there is GET."""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Head:
    """Answers HEAD with the head of GET's answer; ``head_only`` in the scope says that nothing else is wanted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        as_get: dict[str, Any] = {**scope, "method": "GET", "head_only": True}
        answered = False

        async def head_only(message: Message) -> None:
            nonlocal answered
            if answered or message["type"] != "http.response.start":
                return
            answered = True
            if "route" in as_get:
                scope["route"] = as_get["route"]
            await send(message)
            await send({"type": "http.response.body", "body": b""})

        async def until_answered() -> Message:
            return {"type": "http.disconnect"} if answered else await receive()

        await self._app(as_get, until_answered, head_only)
