"""A TCP proxy whose network can be cut: connections stay open, and nothing arrives on either side."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from tests.services.service import lasting_port


class Link:
    """``port`` stands in for the server's."""

    def __init__(self, server_port: int) -> None:
        self.port = lasting_port()
        self._server_port = server_port
        self._whole = asyncio.Event()
        self._whole.set()
        self._loop = asyncio.new_event_loop()

    def cut(self) -> None:
        self._loop.call_soon_threadsafe(self._whole.clear)

    def heal(self) -> None:
        """What was on its way arrives."""
        self._loop.call_soon_threadsafe(self._whole.set)

    async def serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        await self._whole.wait()
        try:
            server, request = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            answer.close()
            return
        await asyncio.gather(self._carry(client, request), self._carry(server, answer))

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._whole.wait()
                sink.write(data)
                await sink.drain()
        sink.close()

    def run(self, ready: threading.Event) -> None:
        """Until ``end``."""
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", self.port))
        ready.set()
        self._loop.run_forever()
        server.close()
        for task in (tasks := asyncio.all_tasks(self._loop)):
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)


@contextlib.contextmanager
def link_to(server_port: int) -> Iterator[Link]:
    """A whole link, on a thread of its own."""
    link, ready = Link(server_port), threading.Event()
    thread = threading.Thread(target=link.run, args=[ready], name="link", daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield link
    finally:
        link.end()
        thread.join(10)
