"""A TCP relay that notes the HTTP requests and websockets that pass through it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

_REQUEST = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) (/\S*) HTTP/1\.1\r\n")


@dataclass
class Counts:
    """``requests`` holds (monotonic seconds, ``METHOD /path``) of each."""

    port: int
    requests: list[tuple[float, str]] = field(default_factory=list)

    def since(self, moment: float) -> list[str]:
        return [what for when, what in self.requests if when >= moment]


@contextlib.contextmanager
def counting(target: int) -> Iterator[Counts]:
    """Relay a free port of loopback to port ``target``; gone afterwards."""
    loop = asyncio.new_event_loop()
    counts = Counts(0)
    started = threading.Event()
    done: asyncio.Future[None] = loop.create_future()

    async def serve() -> None:
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
                await asyncio.gather(_pump(reader, far_writer, counts), _pump(far_reader, writer, None))

        server = await asyncio.start_server(relay, "127.0.0.1", 0)
        counts.port = int(server.sockets[0].getsockname()[1])
        started.set()
        await done
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    started.wait(10)
    try:
        yield counts
    finally:
        loop.call_soon_threadsafe(done.set_result, None)
        thread.join(10)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: Counts | None) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            if counts is not None:
                now = time.monotonic()
                counts.requests += [
                    (now, f"{found[1].decode()} {found[2].decode()}") for found in _REQUEST.finditer(data)
                ]
            writer.write(data)
            await writer.drain()
    writer.close()
