"""A child process as its node holds it: channel, output, shared page, end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from work_pools.messages import Message, Warm, decode, encode
from work_pools.node.forked.processes import Exit, signal_group
from work_pools.node.forked.shared_flags import SharedFlags
from work_pools.node.processes.output import Output
from work_pools.node.processes.zygote_client import Started, ZygoteClient

_CHUNK = 1 << 16
Handler = Callable[[Message], None]
Lines = Callable[[str, list[str]], None]


class ChildProcess:
    """One process and its group; made by ``fork`` or ``execute``, ``close`` it after it ended."""

    def __init__(self, zygote: ZygoteClient) -> None:
        self.zygote = zygote
        self.flags = SharedFlags.create()
        self.pid = 0
        self._end: asyncio.Future[Exit]
        self.warm = asyncio.Event()
        self._channel, self._theirs = socket.socketpair()
        self._channel.setblocking(False)
        self._pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(2)]
        self._outputs = [Output(read) for read, _ in self._pipes]
        self._buffer = bytearray()
        self._held: list[Message] = []
        self._handler: Handler | None = None
        self._open = True

    @classmethod
    async def fork(cls, zygote: ZygoteClient) -> ChildProcess:
        """A spare: it warms up and waits for a run."""
        child = cls(zygote)
        return await child._born(lambda fds: zygote.fork(fds))

    @classmethod
    async def execute(
        cls, zygote: ZygoteClient, argv: Sequence[str], env: Mapping[str, str], cwd: str
    ) -> ChildProcess:
        """An ordinary process."""
        child = cls(zygote)
        return await child._born(lambda fds: zygote.execute(argv, env, cwd, fds))

    async def _born(self, start: Callable[[list[int]], Awaitable[Started]]) -> ChildProcess:
        theirs = [self._theirs.fileno(), self._pipes[0][1], self._pipes[1][1], self.flags.fd]
        try:
            self.pid, self._end = await start(theirs)
        except BaseException:
            self._close_theirs()
            self.close()
            raise
        self._close_theirs()
        asyncio.get_running_loop().add_reader(self._channel, self._read)
        return self

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

    async def send(self, message: Message) -> None:
        """Raises ``OSError`` when the child is gone."""
        await asyncio.get_running_loop().sock_sendall(self._channel, encode(message))

    def signal(self, number: int) -> bool:
        """Send a signal to the whole group; whether anybody was there."""
        return signal_group(self.pid, number)

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
