"""The bridge's end of the link, with real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from skald_bridge.adapters.clock import SystemClock
from skald_bridge.api.access import Access
from skald_bridge.api.connections import ConnectionLimits
from skald_bridge.api.guard import Guard
from skald_bridge.api.metrics import Requests
from skald_bridge.api.node_link import NodeLinks
from skald_bridge.api.server import listening_socket, serving
from skald_bridge.services.linked import Linked
from skald_work_pools.devices import Capacity
from skald_work_pools.link import PATH
from skald_work_pools.link.frames import LARGEST, decode, encode
from skald_work_pools.link.messages import Alive, Changes, Free, Hello, Offer, Report, Taken, Welcome
from tests.services.poll import auntil
from tests.unit.api.asked import KEY, KEYED, LOCAL
from tests.unit.bridge.links import POOL, born

PATIENCE = 20.0


class Bridge:
    def __init__(self, port: int, linked: Linked) -> None:
        self.port, self.linked = port, linked
        self.url = f"ws://127.0.0.1:{port}{PATH}"

    def link(self, path: str = "", **more: Any) -> connect:
        return connect(path or self.url, proxy=None, compression=None, **more)


@asynccontextmanager
async def bridge(access: Access = LOCAL, most: int = 10, connections: int = 100) -> AsyncIterator[Bridge]:
    linked = Linked(SystemClock())
    app = FastAPI()
    app.add_middleware(partial(NodeLinks, nodes=linked.nodes, answers=linked.dispatch, every=3.0, most=most))
    app.add_middleware(Guard, access=access, requests=Requests())
    bound = listening_socket("127.0.0.1", 0)
    async with serving(app, bound, ConnectionLimits(connections), None, {PATH}):
        yield Bridge(bound.getsockname()[1], linked)


def hello(name: str = "n", **more: Any) -> bytes:
    report = Report(Free(4, 2**30, 4), types=frozenset({"resize"}))
    return encode(Hello(name, "life", POOL, "cpu", Capacity(4, 2**30, limit=4), report, **more))


async def closed(socket: Any) -> tuple[int, str]:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ConnectionClosed) as end:
            while True:
                await socket.recv()
    assert end.value.rcvd is not None
    return end.value.rcvd.code, end.value.rcvd.reason


async def comes(check: Callable[[], object], what: str) -> None:
    async def asked() -> object:
        return check()

    await auntil(asked, PATIENCE, what)


async def said(socket: Any) -> Any:
    async with asyncio.timeout(PATIENCE):
        return decode(await socket.recv())


async def test_a_node_says_hello_is_offered_a_run_and_takes_it():
    async with bridge() as made, made.link() as socket:
        made.linked.dispatch.expected = lambda: {"cpu/n"}
        await socket.send(hello())
        assert await said(socket) == Welcome(3.0)
        await socket.send(encode(Alive()))
        assert await said(socket) == Alive()
        made.linked.dispatch.born(born("r"))
        offer = await said(socket)
        assert isinstance(offer, Offer) and offer.run_id == "r" and offer.run["state"]["type"] == "SCHEDULED"
        await socket.send(encode(Taken("r")))
        await comes(lambda: made.linked.dispatch.outcomes["taken"], "taken")
        await socket.send(encode(Changes(draining=True)))
        await comes(lambda: made.linked.nodes.states()["drained"], "drained")
        await socket.send('{"v":1,"kind":"from the future","body":{}}')
        await socket.send(encode(Alive()))
        assert await said(socket) == Alive()
    assert made.linked.nodes.linked() == set()


async def test_a_link_that_is_cut_is_seen_at_once():
    async with bridge() as made, made.link() as socket:
        await socket.send(hello())
        await said(socket)
        socket.transport.abort()
        await comes(lambda: not made.linked.nodes.linked(), "gone")


async def test_the_link_is_closed_when_the_bridge_stops():
    async with bridge() as made:
        stack = made.link()
        socket = await stack.__aenter__()
        await socket.send(hello())
        await said(socket)
    assert (await closed(socket))[0] in (1001, 1012)
    await socket.close()


async def test_only_who_has_the_key_is_let_in():
    async with bridge(KEYED) as made:
        for headers in ({}, {"X-API-Key": "wrong"}):
            with pytest.raises(InvalidStatus) as refused:
                async with made.link(additional_headers=headers):
                    pass
            assert refused.value.response.status_code == 401
        async with made.link(additional_headers={"X-API-Key": KEY}) as socket:
            await socket.send(hello())
            assert isinstance(await said(socket), Welcome)


async def test_strangers_names_and_pages_are_refused():
    async with bridge() as made:
        with pytest.raises(InvalidStatus) as refused:
            async with made.link(origin="https://elsewhere.example"):
                pass
        assert refused.value.response.status_code == 403
        with pytest.raises(InvalidStatus) as refused:
            async with made.link(
                f"ws://stranger.example:{made.port}{PATH}", host="127.0.0.1", port=made.port
            ):
                pass
        assert refused.value.response.status_code == 421


async def test_no_other_path_has_a_websocket():
    async with bridge() as made:
        with pytest.raises(InvalidStatus) as refused:
            async with made.link(made.url.replace(PATH, "/api/tasks")):
                pass
        assert refused.value.response.status_code == 404


@pytest.mark.parametrize(
    ("frames", "code", "reason"),
    [
        ([b'{"v":2,"kind":"hello","body":{}}'], 1008, "version 2 of the link's protocol"),
        ([b"hello?"], 1002, "no JSON"),
        ([encode(Alive())], 1002, "begins with hello"),
        ([hello(), hello()], 1002, "said once"),
        ([hello(), b'{"v":1,"kind":"changes","body":{"draining":"perhaps"}}'], 1002, "draining"),
    ],
)
async def test_what_is_not_understood_ends_the_link_with_a_reason(frames, code, reason):
    async with bridge() as made, made.link() as socket:
        for frame in frames:
            await socket.send(frame)
        found = await closed(socket)
        assert found[0] == code and reason in found[1]


async def test_a_frame_is_bounded():
    async with bridge() as made, made.link() as socket:
        await socket.send(hello())
        await said(socket)
        await socket.send(b" " * (LARGEST + 1))
        assert (await closed(socket))[0] == 1009


async def test_a_node_with_two_links_keeps_the_newer():
    async with bridge() as made, made.link() as first, made.link() as second:
        await first.send(hello())
        await said(first)
        await second.send(hello())
        assert isinstance(await said(second), Welcome)
        assert await closed(first) == (1001, "the node has another link")
        assert made.linked.nodes.linked() == {"cpu/n"}


async def test_links_are_so_many_at_most():
    async with bridge(most=1) as made:
        async with made.link() as first:
            await first.send(hello())
            await said(first)
            async with made.link() as second:
                assert (await closed(second))[0] == 1013
        await comes(lambda: not made.linked.nodes.linked(), "gone")
        async with made.link() as third:
            await third.send(hello())
            assert isinstance(await said(third), Welcome)


async def test_a_link_counts_as_a_connection_until_it_ends():
    async with bridge(connections=1) as made:
        async with made.link() as socket:
            await socket.send(hello())
            await said(socket)
            reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
            assert b"503" in await reader.read(100)
            writer.close()

        async def let_in() -> bool:
            reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
            writer.write(b"GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = await reader.read(100)
            writer.close()
            return b"404" in answer

        async with asyncio.timeout(PATIENCE):
            while not await let_in():
                await asyncio.sleep(0.05)


async def test_who_says_nothing_is_not_kept(monkeypatch):
    monkeypatch.setattr("skald_bridge.api.node_link.HELLO_SECONDS", 0.05)
    async with bridge() as made, made.link() as socket:
        assert await closed(socket) == (1002, "the node did not say hello in time")


def test_the_versions_refusal_fits_into_a_close():
    frame = json.dumps({"v": "x" * 1000, "kind": "alive"})
    with pytest.raises(ValueError, match="version"):
        decode(frame)
