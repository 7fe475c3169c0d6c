"""A child process as its node holds it: channel, output, shared page, end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from skald_work_pools.messages import Message, Warm, decode, encode
from skald_work_pools.node.forked.processes import Exit, signal_group
from skald_work_pools.node.forked.shared_flags import SharedFlags
from skald_work_pools.node.processes.output import PipeReader
from skald_work_pools.node.processes.zygote_client import Started

_CHUNK = 1 << 16
Handler = Callable[[Message], None]
Lines = Callable[[str, list[str]], None]


class ChildProcess:
    """One process and its group; made by ``start``, ``close`` it after it ended."""

    def __init__(self) -> None:
        self.flags = SharedFlags.create()
        self.pid = 0
        self._end: asyncio.Future[Exit]
        self.warm = asyncio.Event()
        self._channel, self._theirs = socket.socketpair()
        self._channel.setblocking(False)
        self._pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(2)]
        self._outputs = [PipeReader(read) for read, _ in self._pipes]
        self._buffer = bytearray()
        self._held: list[Message] = []
        self._handler: Handler | None = None
        self._open = True

    @classmethod
    async def start(cls, how: Callable[[list[int]], Awaitable[Started]]) -> ChildProcess:
        """``how`` has a zygote make the child with these descriptors: channel, stdout, stderr, flags.

        Raises:
            ZygoteGone: the zygote has ended.
        """
        child = cls()
        theirs = [child._theirs.fileno(), child._pipes[0][1], child._pipes[1][1], child.flags.fd]
        try:
            child.pid, child._end = await how(theirs)
        except BaseException:
            child._close_theirs()
            child.close()
            raise
        child._close_theirs()
        asyncio.get_running_loop().add_reader(child._channel, child._read)
        return child

    def _close_theirs(self) -> None:
        self._theirs.close()
        for _, write in self._pipes:
            os.close(write)

    def attach(self, handler: Handler, lines: Lines) -> None:
        """From now on messages go to ``handler``, output to ``lines``: its name, and lines."""
        self._handler = handler
        held, self._held = self._held, []
        for message in held:
            handler(message)
        for name, output in zip(("stdout", "stderr"), self._outputs, strict=True):
            output.listen(partial(lines, name))

    def hold(self) -> None:
        """Let it wait when it logs or prints, until ``resume``."""
        if self._open:
            self.flags.held = True
            for output in self._outputs:
                output.pause()

    def resume(self) -> None:
        if self._open:
            self.flags.held = False
            for output in self._outputs:
                output.resume()

    async def send(self, message: Message) -> None:
        """Raises ``OSError`` when the child is gone."""
        await asyncio.get_running_loop().sock_sendall(self._channel, encode(message))

    def signal(self, number: int) -> bool:
        """Send a signal to the whole group; whether anybody was there."""
        return signal_group(self.pid, number)

    def dismiss(self) -> None:
        """Tell a spare that no run will come: it cleans up what it had imported, and ends."""
        self._channel.shutdown(socket.SHUT_WR)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    async def exited(self) -> Exit:
        """How it ended, once it and its group have; everything it had said is delivered before."""
        end = await asyncio.shield(self._end)
        self._drain()
        return end

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        with suppress(ValueError, OSError):
            asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        for output in self._outputs:
            output.close()
        self.flags.close()

    def _drain(self) -> None:
        if self._open:
            while self._read():
                pass
            for output in self._outputs:
                output.drain()

    def _read(self) -> bool:
        """One chunk, so that a talkative child does not hold up the others; whether there was one."""
        try:
            chunk = self._channel.recv(_CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            chunk = b""
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._channel)
            return False
        self._buffer += chunk
        if b"\n" in chunk:
            *lines, rest = self._buffer.split(b"\n")
            self._buffer = bytearray(rest)
            for line in lines:
                with suppress(ValueError):
                    self._hear(decode(bytes(line)))
        return True

    def _hear(self, message: Message) -> None:
        if isinstance(message, Warm):
            self.warm.set()
        elif self._handler is None:
            self._held.append(message)
        else:
            self._handler(message)
