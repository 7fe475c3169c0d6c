"""A child's standard output or error: a pipe, read as lines, bounded."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

LONGEST = 8_000
"""Characters of a line; the rest of a longer one is cut off."""
_CHUNK = 1 << 16


class Output:
    """Reads the pipe on the event loop from ``listen`` on; owns the descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self._found: Callable[[list[str]], None] | None = None
        os.set_blocking(descriptor, False)

    def listen(self, found: Callable[[list[str]], None]) -> None:
        self._found = found
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def drain(self) -> None:
        """Deliver what is in the pipe, and the last line without its end."""
        if self._descriptor < 0 or self._found is None:
            return
        while self._read():
            pass
        if self._rest:
            self._found([_text(self._rest)])
            self._rest = b""

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
        # A carriage return alone is how programs redraw one line: only its last picture counts.
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self._rest = self._rest[-4 * LONGEST :]
        if lines and self._found is not None:
            self._found([_text(line) for line in lines])
        return True


def _text(line: bytes) -> str:
    shown = line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")
    return shown if len(shown) <= LONGEST else shown[:LONGEST] + " … [cut]"
