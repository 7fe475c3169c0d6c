"""Clients that are silent, slow or too many, with real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from starlette.types import Receive, Scope, Send

from skald_bridge.api.connections import ConnectionLimits, Seldom, connection_limit
from skald_bridge.api.server import listening_socket, serving
from tests.services.poll import auntil

PATIENCE = 20.0
NEVER = 600.0
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass
class App:
    """/ answers; /body reads first; /busy waits for ``go``; /large answers 16 MB, /pieces in pieces; /bad fails."""

    go: asyncio.Event
    at_work: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.at_work += 1
        try:
            await self._answer(scope["path"], receive, send)
        finally:
            self.at_work -= 1

    async def _answer(self, path: str, receive: Receive, send: Send) -> None:
        if path == "/body":
            while (message := await receive()).get("more_body"):
                pass
            if message["type"] == "http.disconnect":
                return
        if path == "/busy":
            await self.go.wait()
        if path == "/bad":
            raise ValueError("a defect")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        pieces = {"/large": 1, "/pieces": 64}.get(path, 0)
        for _ in range(pieces):
            body = bytes(2**24 // pieces)
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"hello" if not pieces else b""})


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def rest(self) -> bytes:
        """All until the server closes."""
        found = bytearray()
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while data := await self.reader.read(2**16):
                    found += data
        return bytes(found)

    async def heard(self, wanted: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.reader.readuntil(wanted)


@dataclass
class Served:
    app: App
    port: int
    stack: AsyncExitStack

    async def client(self, first: bytes = b"") -> Client:
        made = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.stack.callback(made.writer.close)
        if first:
            await made.send(first)
        return made

    async def get(self, path: bytes = b"/") -> bytes:
        head = b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        return await (await self.client(head)).rest()


@asynccontextmanager
async def served(
    *, connections: int = 100, head: float = NEVER, body: float = NEVER, reading: float = NEVER
) -> AsyncIterator[Served]:
    app = App(asyncio.Event())
    async with AsyncExitStack() as stack:
        bound = listening_socket("127.0.0.1", 0)
        await stack.enter_async_context(
            serving(app, bound, ConnectionLimits(connections, head, body, reading))
        )
        made = Served(app, bound.getsockname()[1], stack)
        yield made
        app.go.set()


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard) if hard >= 0 else 8192, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("descriptors", "limit"),
    [(1024, 512), (256, 128), (1_048_576, 1000), (2000, 1000), (1999, 999), (3, 1), (0, 1), (-1, 1000)],
)
def test_the_duties_keep_half_of_the_descriptors(descriptors: int, limit: int) -> None:
    assert connection_limit(descriptors) == limit
    assert 1 <= ConnectionLimits(limit).backlog <= 128


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),
        (b"\r\n", b"400"),
        (b"G", b"408"),
        (GET[:-2], b"408"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 5000, b"408"),
    ],
)
async def test_a_head_that_does_not_come(sent: bytes, answer: bytes) -> None:
    async with served(head=0.3) as server:
        client = await server.client(sent)
        found = await client.rest()
        assert answer in found and (found == b"") is (answer == b"")
        assert b"200" in await server.get()


async def test_a_head_that_comes_byte_by_byte_gets_no_more_time() -> None:
    async with served(head=0.5) as server:
        client = await server.client(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")

        async def closed() -> bool:
            client.writer.write(b"y")
            return client.reader.at_eof()

        reading = asyncio.create_task(client.rest())
        await auntil(closed, PATIENCE, "it is closed though it sends")
        assert b"408" in await reading


async def test_a_second_request_on_a_connection_has_the_same_time() -> None:
    async with served(head=0.3) as server:
        client = await server.client(GET)
        await client.heard(b"hello")
        await client.send(b"GET / HT")
        assert b"408" in await client.rest()


async def test_an_idle_connection_is_closed() -> None:
    async with served() as server:
        client = await server.client(GET)
        await client.heard(b"hello")
        assert b"408" not in await client.rest()


@pytest.mark.parametrize("path", [b"/body", b"/"])
async def test_a_body_that_does_not_come(path: bytes) -> None:
    """Also one that was answered before its end."""
    async with served(body=0.3) as server:
        head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegun"
        found = await (await server.client(head)).rest()
        assert (b"408" in found) is (path == b"/body") and (b"200" in found) is (path == b"/")

        async def idle() -> bool:
            return server.app.at_work == 0

        await auntil(idle, PATIENCE, "the application is told")


async def test_one_that_waits_for_its_answer_is_not_late() -> None:
    async with served(head=0.1, body=0.1, reading=0.1) as server:
        waiting = await server.client(b"POST /busy HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
        silent = await server.client()
        await silent.rest()
        server.app.go.set()
        await waiting.heard(b"hello")


@pytest.mark.parametrize("path", [b"/large", b"/pieces"])
async def test_an_answer_that_is_not_read(path: bytes) -> None:
    async with served(reading=0.3) as server:
        client = await server.client(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.heard(b"\r\n\r\n")

        async def gone() -> bool:
            return server.app.at_work == 0

        await auntil(gone, PATIENCE, "it is given up")
        assert len(await client.rest()) < 2**24


async def test_a_large_answer_is_read_to_its_end() -> None:
    async with served(reading=1) as server:
        for path in (b"/large", b"/pieces"):
            assert len(await server.get(path)) > 2**24


async def test_one_too_many_gets_503_and_a_silent_one_makes_room() -> None:
    async with served(connections=3) as server:
        oldest = await server.client()
        busy = [await server.client(b"GET /busy HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(2)]

        async def at_work() -> bool:
            return server.app.at_work == 2

        await auntil(at_work, PATIENCE, "two are served")
        busy.append(await server.client(b"GET /busy HTTP/1.1\r\nHost: x\r\n\r\n"))
        assert b"503" in await oldest.rest()
        found = await server.get()
        assert found.startswith(b"HTTP/1.1 503 ") and b'"remedy"' in found and b"Connection: close" in found
        server.app.go.set()
        for each in busy:
            await each.heard(b"hello")


async def test_a_flood_of_silent_connections(
    many_descriptors: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(connections=50, head=2) as server:
        silent: list[Client] = []
        for number in range(1100):
            silent.append(await server.client())
            if number % 100 == 0:
                assert b"200" in await server.get()
        assert b"200" in await server.get()
        ends = await asyncio.gather(*(each.rest() for each in silent))
        assert sum(b"503" in end for end in ends) >= 1000
        assert b"200" in await server.get()
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 1 and "50 connections" in told[0].getMessage()


async def test_what_clients_cause_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as server:
        for _ in range(20):
            assert b"400" in await (await server.client(b"\x16\x03\x01 nonsense\r\n\r\n")).rest()
            assert b"500" in await server.get(b"/bad")
    kinds = [record.getMessage().strip() for record in caplog.records if record.name == "uvicorn.error"]
    warned = [kind for kind in kinds if kind.startswith(("Invalid", "Exception"))]
    assert sorted(warned) == ["Exception in ASGI application", "Invalid HTTP request received."]
    assert not any(isinstance(each, Seldom) for each in logging.getLogger("uvicorn.error").filters)


@pytest.mark.parametrize("path", [b"/body", b"/"])
async def test_nonsense_within_a_body(path: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with served() as server:
        head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        client = await server.client(head)
        if path == b"/":
            await client.heard(b"hello")
        await client.send(b"nonsense\r\n")
        found = await client.rest()
        assert (b"400 Bad Request" in found and b'"remedy"' in found) is (path == b"/body")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_websocket_handshake_is_an_ordinary_request() -> None:
    async with served() as server:
        head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n"
        more = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        found = await (await server.client(head + more)).rest()
        assert found.startswith(b"HTTP/1.1 200 ") and b"hello" in found
