"""The short way for small requests that arrive whole: from a socket's bytes to the answer's, without a task or ASGI.

What is in the least unusual goes the long way, which answers the same.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus

from starlette.types import Scope

from skald_bridge.api.dtask import Dtask
from skald_bridge.api.metrics import Requests
from skald_bridge.wire.dtask import LARGEST_BODY, Reply

LARGEST_HEAD = 2**13
_KNOWN = 1000
_HEAD = re.compile(
    rb"POST (/api/v1/(?:heartbeat|schedule|release)) HTTP/1\.1"
    rb"((?:\r\n[-!#$%&'*+.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)+)"
)
_ENDS = {status: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
_UNUSUAL = frozenset({b"transfer-encoding", b"expect", b"upgrade"})
_ONCE = frozenset({b"host", b"content-length"})

Headers = Sequence[tuple[bytes, bytes]]


class Quick:
    """``permits`` says of a scope whether it may ask."""

    def __init__(self, dtask: Dtask, permits: Callable[[Scope], bool], requests: Requests) -> None:
        self._dtask, self._permits, self._requests = dtask, permits, requests
        self._known: dict[bytes, tuple[str, int]] = {}
        """Heads of requests that may ask: most clients send the same one again and again."""

    def missing(self, data: bytes) -> int:
        """Bytes that a request which may be answered here still lacks; below 0 for any other."""
        end = data.find(b"\r\n\r\n", 0, LARGEST_HEAD)
        if end < 0:
            return -1
        found = self._head(data[:end])
        return found[1] + end + 4 - len(data) if found is not None else -1

    def answer(self, data: bytes, headers: Headers) -> bytes | None:
        """The answer to a request of which nothing is ``missing``, with ``headers``; ``None``: go the long way."""
        began = time.monotonic()
        end = data.index(b"\r\n\r\n")
        found = self._head(data[:end])
        if found is None:
            return None
        path, _ = found
        reply = self._dtask.post(path, data[end + 4 :])
        if not isinstance(reply, Reply):
            return None
        self._requests.answered("POST", path, reply.status, time.monotonic() - began)
        lines = [name + b": " + value + b"\r\n" for name, value in (*headers, *reply.headers)]
        return b"".join((_ENDS[HTTPStatus(reply.status)], *lines, b"\r\n", reply.body))

    def _head(self, head: bytes) -> tuple[str, int] | None:
        """Its path and the length of the body."""
        known = self._known.get(head)
        if known is None and (known := self._read(head)) is not None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[head] = known
        return known

    def _read(self, head: bytes) -> tuple[str, int] | None:
        found = _HEAD.fullmatch(head)
        if found is None:
            return None
        headers: list[tuple[bytes, bytes]] = []
        for line in found[2][2:].split(b"\r\n"):
            name, _, value = line.partition(b":")
            headers.append((name.lower(), value.strip(b" \t")))
        names = [name for name, _ in headers]
        if not _UNUSUAL.isdisjoint(names) or any(names.count(name) != 1 for name in _ONCE):
            return None
        if any(name == b"connection" and value.lower() != b"keep-alive" for name, value in headers):
            return None
        length = dict(headers)[b"content-length"]
        if not length.isdigit() or len(length) > 7 or int(length) > LARGEST_BODY:
            return None
        path = found[1].decode()
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "raw_path": found[1],
            "headers": headers,
        }
        return (path, int(length)) if self._permits(scope) else None
