"""A child's standard output or error: a pipe, read as lines, bounded."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

LONGEST = 8_000
"""Characters of a line; the rest of a longer one is cut off."""
_CHUNK = 1 << 16
_KEPT = 4 * LONGEST
"""Bytes of a line, enough for so many characters."""


class LineCutter:
    """Cuts what is fed to it into lines, the heads of those that are too long.

    A carriage return alone is how programs redraw one line: only its last picture counts.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self._cut = False

    def feed(self, chunk: bytes) -> list[str]:
        """The lines that are whole now."""
        *ends, rest = chunk.split(b"\n")
        found = []
        for end in ends:
            self._add(end)
            found.append(self._take())
        self._add(rest)
        return found

    def rest(self) -> list[str]:
        """The last line, where it has no end."""
        return [self._take()] if self._line else []

    def _add(self, part: bytes) -> None:
        before, redrawn, after = part.rstrip(b"\r").rpartition(b"\r")
        if redrawn:
            self._line, self._cut = bytearray(), False
            part = after + part[len(before) + 1 + len(after) :]
        elif self._line.endswith(b"\r") and part:
            self._line, self._cut = bytearray(), False
        room = _KEPT - len(self._line)
        self._line += part[:room]
        self._cut |= len(part) > room

    def _take(self) -> str:
        text = self._line.rstrip(b"\r").decode(errors="replace")
        cut = self._cut or len(text) > LONGEST
        self._line, self._cut = bytearray(), False
        return text[:LONGEST] + " … [cut]" if cut else text


class PipeReader:
    """Reads the pipe on the event loop from ``listen`` on; owns the descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines = LineCutter()
        self._found: Callable[[list[str]], None] | None = None
        os.set_blocking(descriptor, False)

    def listen(self, found: Callable[[list[str]], None]) -> None:
        self._found = found
        self.resume()

    def pause(self) -> None:
        """Let the child wait, once its pipe is full, until ``resume``."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)

    def resume(self) -> None:
        if self._descriptor >= 0 and self._found is not None:
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def drain(self) -> None:
        """Deliver what is in the pipe, and the last line without its end."""
        if self._descriptor < 0 or self._found is None:
            return
        while self._read():
            pass
        if rest := self._lines.rest():
            self._found(rest)

    def close(self) -> None:
        if self._descriptor >= 0:
            with suppress(ValueError, OSError, RuntimeError):
                asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> bool:
        try:
            chunk = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            chunk = b""
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            return False
        lines = self._lines.feed(chunk)
        if lines and self._found is not None:
            self._found(lines)
        return True
