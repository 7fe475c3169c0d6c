"""dtask-scheduler's routes, and ours beside them: an ASGI layer before the rest of the application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from types import SimpleNamespace

from starlette.types import ASGIApp, Receive, Scope, Send

from skald_bridge.domain.placements import Full, Granted, NoWorker, Outcome, Queued, Waited
from skald_bridge.services.fleet import Fleet
from skald_bridge.wire import dtask, go_json
from skald_bridge.wire.dtask import OutOfBounds, Reply
from skald_bridge.wire.go_json import Malformed

HEARTBEAT = "/api/v1/heartbeat"
SCHEDULE = "/api/v1/schedule"
RELEASE = "/api/v1/release"
WORKERS = "/api/v1/workers"
PATHS = frozenset({HEARTBEAT, SCHEDULE, RELEASE, WORKERS})
_PIECE = 500
"""Workers that are written before others get a turn."""
_TOO_LARGE = dtask.refused(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {dtask.LARGEST_BODY} bytes"
)
_FULL = dtask.refused(HTTPStatus.SERVICE_UNAVAILABLE, "there are too many workers")
_LINE_FULL = dtask.refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many tasks are waiting")

Answer = Reply | Callable[[], Awaitable[Reply]]


class Dtask:
    """One request's body to its reply."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._posts: dict[str, Callable[[bytes], Answer]] = {
            HEARTBEAT: self._heartbeat,
            SCHEDULE: self._schedule,
            RELEASE: self._release,
        }

    def post(self, path: str, body: bytes) -> Answer:
        """The reply, or what is to be awaited for it, of a request that may have to wait."""
        if len(body) > dtask.LARGEST_BODY:
            return _TOO_LARGE
        try:
            return self._posts[path](body)
        except Malformed:
            return dtask.MALFORMED
        except OutOfBounds as error:
            return dtask.refused(HTTPStatus.BAD_REQUEST, str(error))

    def workers(self) -> Iterator[bytes]:
        return dtask.workers(self._fleet.workers())

    def _heartbeat(self, body: bytes) -> Reply:
        return dtask.HEARD if self._fleet.heartbeat(dtask.heartbeat(body)) else _FULL

    def _schedule(self, body: bytes) -> Answer:
        request = dtask.schedule(body)
        if not request.task_id:
            return dtask.NO_TASK_ID
        if request.wait:

            async def waited() -> Reply:
                return _reply(request, await self._fleet.place_or_wait(request))

            return waited
        return _reply(request, self._fleet.place(request))

    def _release(self, body: bytes) -> Reply:
        task = dtask.release(body).task_id
        if not task:
            return dtask.refused(HTTPStatus.BAD_REQUEST, "task_id is required")
        return dtask.released(task, self._fleet.release(task))


def _reply(request: dtask.Schedule, outcome: Outcome) -> Reply:
    match outcome:
        case Granted():
            return dtask.granted(outcome.worker_id, outcome.address, _more(request, outcome))
        case Queued():
            return dtask.queued(request.task_id, outcome.position)
        case NoWorker():
            return dtask.no_worker(outcome.reason) if request.needs is not None else dtask.NO_WORKER
        case Waited():
            return dtask.WAITED
        case Full():
            return _LINE_FULL


def _more(request: dtask.Schedule, granted: Granted) -> Iterator[tuple[str, str]]:
    """What a request of ours is told besides."""
    if granted.queued and request.keeps_place:
        yield "queued", "true"
    if granted.gpus:
        yield "gpus", f"[{','.join(map(str, granted.gpus))}]"
    if request.lease is not None:
        yield "lease_expires", go_json.quoted_time(granted.expires)


class DtaskRoutes:
    """Answers those paths itself, and hands everything else on."""

    def __init__(self, app: ASGIApp, dtask: Dtask) -> None:
        self._app, self._dtask = app, dtask
        self._routes = {path: SimpleNamespace(path=path) for path in PATHS}
        self._waiting = SimpleNamespace(path=f"{SCHEDULE} wait")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in PATHS:
            await self._app(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        scope["route"] = self._routes[path]
        if method != ("GET" if path == WORKERS else "POST"):
            await _send(send, dtask.NO_SUCH_METHOD)
        elif path == WORKERS:
            await self._send_workers(send)
        else:
            body = await _body(receive)
            if body is None:
                return
            answer = self._dtask.post(path, body)
            if isinstance(answer, Reply):
                await _send(send, answer)
                return
            scope["route"] = self._waiting
            reply = await _unless_gone(answer(), receive)
            if reply is not None:
                await _send(send, reply)

    async def _send_workers(self, send: Send) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
        pieces: list[bytes] = []
        for piece in self._dtask.workers():
            pieces.append(piece)
            if len(pieces) == _PIECE:
                await send({"type": "http.response.body", "body": b"".join(pieces), "more_body": True})
                await asyncio.sleep(0)
                pieces.clear()
        await send({"type": "http.response.body", "body": b"".join(pieces)})


async def _send(send: Send, reply: Reply) -> None:
    await send({"type": "http.response.start", "status": int(reply.status), "headers": reply.headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _body(receive: Receive) -> bytes | None:
    """Of what is too large, its begin; ``None`` when the client has gone."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > dtask.LARGEST_BODY or not message.get("more_body", False):
            return b"".join(parts)


async def _unless_gone(answer: Awaitable[Reply], receive: Receive) -> Reply | None:
    """``None`` when the client goes first: the answer's making is cancelled then."""
    made = asyncio.ensure_future(answer)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((made, gone), return_when=asyncio.FIRST_COMPLETED)
        return made.result() if made.done() else None
    finally:
        for each in (made, gone):
            each.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await made


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
