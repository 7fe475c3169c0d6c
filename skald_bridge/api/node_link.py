"""The bridge's end of the link: a WebSocket a node, on the REST API's own port and behind the same guard."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from skald_bridge.ports import NodeLink
from skald_work_pools.first_of import first_of
from skald_work_pools.link import PATH
from skald_work_pools.link.frames import BadFrame, WrongVersion, decode, encode
from skald_work_pools.link.messages import (
    Alive,
    Changes,
    FromBridge,
    Hello,
    Message,
    Refused,
    Taken,
    Welcome,
)

HELLO_SECONDS = 10.0
_QUEUED = 1000
"""Messages that wait for a node that does not read."""
_AT_ONCE = 120
"""Bytes of a reason; a WebSocket's close has room for 123."""
_GOING_AWAY, _PROTOCOL_ERROR, _POLICY_VIOLATION, _TRY_LATER = 1001, 1002, 1008, 1013


class LinkedNodes(Protocol):
    """What a link tells."""

    def enter(self, hello: Hello, link: NodeLink) -> str: ...

    def hear(self, key: str, link: NodeLink, changes: Changes | None = None) -> None: ...

    def leave(self, key: str, link: NodeLink) -> None: ...


class Answers(Protocol):
    def hear(self, key: str, answer: Taken | Refused) -> None: ...


class _Closed(Exception):
    """The link is to end with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason


class Link:
    """``NodeLink`` over a queue, which one task empties into the socket."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(_QUEUED)
        self._closing: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def send(self, message: FromBridge) -> bool:
        """Raises ``TooLarge``."""
        frame = encode(message)
        if self._closing.done():
            return False
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            self.close("the node does not read")
            return False
        return True

    def close(self, reason: str) -> None:
        if not self._closing.done():
            self._closing.set_result(reason)

    async def write(self, send: Send) -> None:
        while True:
            frame = await self._queue.get()
            await send({"type": "websocket.send", "text": frame.decode()})

    async def closed(self) -> None:
        raise _Closed(_GOING_AWAY, await self._closing)


class NodeLinks:
    """An ASGI layer that answers ``PATH``, and hands everything else on."""

    def __init__(
        self, app: ASGIApp, nodes: LinkedNodes, answers: Answers, *, every: float, most: int
    ) -> None:
        """``every``: seconds between a node's messages; ``most``: links at once."""
        self._app = app
        self._nodes, self._answers, self._every, self._most = nodes, answers, every, most
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        self._open += 1
        try:
            if self._open > self._most:
                raise _Closed(_TRY_LATER, "there are too many links")
            await self._serve(receive, send)
        except _Closed as end:
            reason = end.reason.encode()[:_AT_ONCE].decode(errors="ignore")
            with contextlib.suppress(Exception):
                await send({"type": "websocket.close", "code": end.code, "reason": reason})
        finally:
            self._open -= 1

    async def _serve(self, receive: Receive, send: Send) -> None:
        link = Link()
        hello = await _hello(receive)
        if hello is None:
            return
        key = self._nodes.enter(hello, link)
        try:
            link.send(Welcome(self._every))
            await first_of(self._read(key, link, receive), link.write(send), link.closed())
        finally:
            self._nodes.leave(key, link)

    async def _read(self, key: str, link: Link, receive: Receive) -> None:
        """Until the node goes."""
        while True:
            message, gone = await _message(receive)
            if gone:
                return
            match message:
                case Alive():
                    self._nodes.hear(key, link)
                    link.send(Alive())
                case Changes():
                    self._nodes.hear(key, link, message)
                case Taken() | Refused():
                    self._answers.hear(key, message)
                case Hello():
                    raise _Closed(_PROTOCOL_ERROR, "hello is said once")
                case _:
                    pass


async def _hello(receive: Receive) -> Hello | None:
    """``None`` where the node has gone before it said anything."""
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            message, gone = await _message(receive)
    except TimeoutError:
        raise _Closed(_PROTOCOL_ERROR, "the node did not say hello in time") from None
    if gone:
        return None
    if not isinstance(message, Hello):
        raise _Closed(_PROTOCOL_ERROR, "a link begins with hello")
    return message


async def _message(receive: Receive) -> tuple[Message | None, bool]:
    """The next one, ``None`` for what is not known here; and whether the other side has gone."""
    event = await receive()
    if event["type"] != "websocket.receive":
        return None, True
    try:
        return decode(event.get("text") or event.get("bytes") or b""), False
    except WrongVersion as error:
        raise _Closed(_POLICY_VIOLATION, str(error)) from error
    except BadFrame as error:
        raise _Closed(_PROTOCOL_ERROR, str(error)) from error
