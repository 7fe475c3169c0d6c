"""Who may ask: the key, the Host and Origin headers, the size of a body; and a count of the answers."""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skald_bridge.api.access import Access
from skald_bridge.api.metrics import Requests
from skald_bridge.api.problems import problem

LARGEST_BODY = 10 * 2**20
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_POLICY_VIOLATION = 1008
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="skald", charset="UTF-8"'}


class Guard:
    """The outermost layer."""

    def __init__(self, app: ASGIApp, access: Access, requests: Requests) -> None:
        self._app = app
        self._access = access
        self._requests = requests
        self._key = access.key.get_secret_value().encode() if access.key is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"no scope of type {scope['type']!r} is served")
        began, status = time.monotonic(), 0

        async def counting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                seconds = time.monotonic() - began
                self._requests.answered(scope["method"], route_of(scope), status, seconds)
            await send(message)

        refusal = self.refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, counting)
            return
        await self._app(scope, _limited(receive), counting)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One that may not ask is refused before its handshake is accepted."""
        refusal = self.refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif "websocket.http.response" in (scope.get("extensions") or {}):
            await refusal(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    def refusal(self, scope: Scope) -> ASGIApp | None:
        """What answers one that may not ask."""
        headers = Headers(scope=scope)
        handshake = scope["type"] == "websocket" or headers.get("upgrade", "").lower() == "websocket"
        method = scope.get("method", "GET")
        if self._key is None and not (_is_nameless(scope, headers) or self._is_ours(headers)):
            return problem(
                421,
                "The Host header names another server.",
                "Use 127.0.0.1 or localhost, or set SKALD_API_KEY.",
            )
        if (handshake or method not in _SAFE) and self._is_foreign(headers):
            return problem(
                403,
                "The request comes from a page of another origin.",
                "Name that origin in SKALD_CORS_ORIGINS.",
            )
        if _declared(headers) > LARGEST_BODY:
            return problem(413, f"The body is larger than {LARGEST_BODY} bytes.", "Send less.")
        preflight = not handshake and method == "OPTIONS" and "access-control-request-method" in headers
        if self._key is not None and not preflight and not _has_key(headers, self._key):
            return problem(
                401,
                "The key is missing or wrong.",
                "Send SKALD_API_KEY as Authorization: Bearer, as X-API-Key, or as the password of a login.",
                _CHALLENGE,
            )
        if scope["path"].startswith("/api") and b"%2f" in scope.get("raw_path", b"").lower():
            return problem(
                422, "The path has an encoded slash (%2F).", "No id has a slash in it: check the id."
            )
        return None

    def _is_ours(self, headers: Headers) -> bool:
        return _is_our_name(headers.get("host", ""), self._access.host)

    def _is_foreign(self, headers: Headers) -> bool:
        """Browsers say from which page a request comes; a login that they remember must not serve others."""
        origin = headers.get("origin")
        if origin is None or origin in self._access.origins:
            return False
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def route_of(scope: Scope) -> str:
    """The pattern of the route that answered."""
    return str(getattr(scope.get("route"), "path", "other"))


def _is_nameless(scope: Scope, headers: Headers) -> bool:
    """Health checks by HTTP/1.0 name no host; browsers always do."""
    return scope.get("http_version") == "1.0" and "host" not in headers


def _is_our_name(given: str, host: str) -> bool:
    """DNS rebinding lets a stranger's name lead here; it cannot change the name."""
    try:
        name = urlsplit(f"//{given}").hostname or ""
    except ValueError:
        return False
    bracketed = f"[{name}]" if ":" in name else name
    return bracketed in _LOOPBACK_NAMES or name == host.strip("[]").lower()


def _has_key(headers: Headers, key: bytes) -> bool:
    offered = [headers.get("x-api-key", "").encode("latin-1")]
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        offered.append(value.strip().encode("latin-1"))
    elif kind.lower() == "basic":
        offered.append(_password(value))
    return any(hmac.compare_digest(each, key) for each in offered)


def _password(value: str) -> bytes:
    try:
        return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


def _declared(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


def _limited(receive: Receive) -> Receive:
    """A body that does not say its length ends as a disconnection when it is too large."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > LARGEST_BODY else message

    return limited
