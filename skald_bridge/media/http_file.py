"""A file on an HTTP server, read to its end whatever breaks off: from the byte where it broke."""

from __future__ import annotations

import contextlib
import errno
import http.client
import re
import threading
import time
import urllib.error
import urllib.request
from typing import Any, Self
from urllib.parse import unquote, urlsplit, urlunsplit

from skald_bridge.media.errors import BadMedia, Unanswered
from skald_bridge.media.inputs import Source

_PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)
_READ_ON = 256 * 1024
"""Bytes ahead that are read and thrown away rather than asked for anew."""
_HEAD = 6 * 1024 * 1024
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_LISTS = ("#EXTM3U", "<?xml", "<MPD")
_FAILURES = (OSError, http.client.HTTPException, ValueError)


class HttpFile:
    """A seekable file object for the opening library. Not for several threads.

    Where the server sends no parts it is not ``seekable``; what broke off is asked for again, and read over up to
    where it broke.
    """

    def __init__(self, source: Source, *, timeout: float, patience: float, closing: threading.Event) -> None:
        """``timeout``: seconds of one answer; ``patience``: seconds without a byte until reading fails."""
        self._source = source
        self._timeout = timeout
        self._patience = patience
        self._closing = closing
        self._url, self._opener = _opener(source.url)
        self._answer: Any = None
        self._at = 0  # of the answer's body, in the file
        self._position = 0
        self._parts = False
        self._head = bytearray()  # kept: whoever looks what it is goes back to the beginning afterwards
        self._tag: str | None = None
        self.size = 0

    @classmethod
    def open(
        cls, source: Source, *, timeout: float, patience: float, closing: threading.Event
    ) -> Self | None:
        """The file; ``None`` for what is no file with an end: a playlist, a stream without length.

        Raises:
            BadMedia: the server refuses us. Unanswered: nobody answers, or the server has no such file.
        """
        made = cls(source, timeout=timeout, patience=patience, closing=closing)
        try:
            made._ask(0)
        except urllib.error.HTTPError as error:
            raise made._refused(error) from None
        except _FAILURES as error:
            raise made._unanswered(error) from None
        try:
            head = made._answer.peek(16)[:16].decode("ascii", "replace")
        except _FAILURES:
            head = ""
        if not made.size or head.startswith(_LISTS):
            made.close()
            return None
        return made

    def seekable(self) -> bool:
        return self._parts

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = {0: 0, 1: self._position, 2: self.size}[whence] + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes; none at the end.

        Raises:
            Unanswered: no byte came for ``patience`` seconds. BadMedia: the file is another one now.
        """
        wanted = min(size if size >= 0 else self.size, self.size - self._position)
        began, tried = time.monotonic(), 0
        while wanted > 0:
            try:
                if data := self._some(wanted):
                    self._position += len(data)
                    return data
                raise ConnectionResetError(errno.ECONNRESET, "it breaks off")
            except _FAILURES as error:
                self.close()
                pause = _PAUSES[min(tried, len(_PAUSES) - 1)]
                tried += 1
                if self._closing.wait(pause) or time.monotonic() - began >= self._patience:
                    raise self._unanswered(error) from None
        return b""

    def close(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            with contextlib.suppress(*_FAILURES):
                answer.close()

    def _some(self, wanted: int) -> bytes:
        if self._position < len(self._head):
            return bytes(self._head[self._position : self._position + wanted])
        ahead = self._position - self._at
        if self._answer is None or ahead < 0 or (ahead > _READ_ON and self._parts):
            self.close()
            self._ask(self._position)
        while (ahead := self._position - self._at) > 0:
            over = self._answer.read1(min(ahead, _READ_ON))
            if not over or self._closing.is_set():
                return b""
            self._at += len(over)
        data: bytes = self._answer.read1(wanted)
        if self._at == len(self._head) < _HEAD:
            self._head += data
        self._at += len(data)
        return data

    def _ask(self, position: int) -> None:
        request = urllib.request.Request(self._url, headers={"Accept-Encoding": "identity"})  # noqa: S310
        request.add_header("Range", f"bytes={position}-")
        self._answer = self._opener.open(request, timeout=self._timeout)
        part = _RANGE.fullmatch(self._answer.headers.get("Content-Range", ""))
        self._at = int(part[1]) if part and self._answer.status == 206 else 0
        size = int(part[2]) if part else int(self._answer.headers.get("Content-Length") or 0)
        tag = self._answer.headers.get("ETag") or self._answer.headers.get("Last-Modified")
        if not self.size:
            self.size, self._tag, self._parts = size, tag, part is not None
        elif (size, tag) != (self.size, self._tag):
            raise BadMedia(
                f"input {self._source.display!r} was replaced while it was read",
                remedy="Start the task again.",
            )

    def _refused(self, error: urllib.error.HTTPError) -> Exception:
        said = f"{error.code} {error.reason}"
        if error.code in (401, 403):
            return BadMedia(
                f"input {self._source.display!r} refuses us: {said}",
                remedy="Check user and password in the URL.",
            )
        return Unanswered(
            f"input {self._source.display!r} does not deliver while opening: {said}",
            remedy="Check the address and that the server publishes this path.",
        )

    def _unanswered(self, error: Exception) -> Unanswered:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        why = getattr(cause, "strerror", None) or type(cause).__name__
        return Unanswered(
            f"nobody answers at input {self._source.display!r} ({why})",
            remedy="Check the address, and that this machine may reach it.",
        )


def _opener(url: str) -> tuple[str, urllib.request.OpenerDirector]:
    """``url`` without its credentials, and what opens it with them: http and https only, redirects included."""
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    opener = urllib.request.OpenerDirector()
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    if parts.username is not None:
        passwords.add_password(None, bare, unquote(parts.username), unquote(parts.password or ""))
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPBasicAuthHandler(passwords),
        urllib.request.HTTPDigestAuthHandler(passwords),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return bare, opener
