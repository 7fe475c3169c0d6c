"""A loopback reverse proxy that counts what a client asks of a server: requests, and websockets opened."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_POOL = re.compile(r"(?<=/work_pools/)[^/]+")
_SOCKET = "websocket"


class CountingProxy:
    """``url`` stands in for the server's.

    ``requests``: (monotonic seconds, method and path) of each, ids in it as ``ID`` and pools as ``NAME``.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream)
        self.requests: list[tuple[float, str]] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self._upstream.path}"

    def take(self) -> Counter[str]:
        """How many there were of each kind since the last call."""
        taken, self.requests = self.requests, []
        return Counter(kind for _, kind in taken)

    def since(self, moment: float) -> list[str]:
        return [kind for when, kind in self.requests if when >= moment]

    async def serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
        except OSError:
            answer.close()
            return
        replies = asyncio.create_task(_pipe(back, answer))
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await self._requests(client, forth)
        forth.close()
        await replies

    async def _requests(self, client: asyncio.StreamReader, forth: asyncio.StreamWriter) -> None:
        while True:
            head = await client.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            pairs = (line.partition(":") for line in lines[1:])
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            method, path, _ = lines[0].split(" ", 2)
            upgraded = headers.get("upgrade", "").lower() == _SOCKET
            kind = _POOL.sub("NAME", _ID.sub("ID", path.partition("?")[0].removeprefix(self._upstream.path)))
            self.requests.append((time.monotonic(), f"{_SOCKET if upgraded else method} {kind}"))
            forth.write(head)
            if upgraded:
                await _pipe(client, forth)
                return
            if headers.get("transfer-encoding", "").lower() == "chunked":
                await _chunks(client, forth)
            else:
                forth.write(await client.readexactly(int(headers.get("content-length", 0))))
            await forth.drain()


async def _chunks(client: asyncio.StreamReader, forth: asyncio.StreamWriter) -> None:
    while True:
        line = await client.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        forth.write(line + await client.readexactly(size + 2))
        if size == 0:
            return


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    with contextlib.suppress(OSError):
        sink.close()


@contextlib.contextmanager
def counting(upstream: str) -> Iterator[CountingProxy]:
    """A proxy on a free port, on a thread of its own."""
    proxy = CountingProxy(upstream)
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(proxy.serve, "127.0.0.1", 0))
    proxy.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, name="counting-proxy", daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(_close(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _close(server: asyncio.Server) -> None:
    server.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
