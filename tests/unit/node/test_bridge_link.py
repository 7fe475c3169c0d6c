"""The node's end of the link, against a real WebSocket server, and the bridge's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve

from skald_work_pools.devices import Capacity
from skald_work_pools.leases import Lease
from skald_work_pools.link.frames import decode, encode
from skald_work_pools.link.messages import (
    Alive,
    Changes,
    Free,
    Hello,
    Offer,
    Refused,
    Report,
    Taken,
    Welcome,
)
from skald_work_pools.link.reports import merged
from skald_work_pools.needs import Needs
from skald_work_pools.node.link.bridge_link import BridgeLink
from skald_work_pools.node.settings import NodeSettings

PATIENCE = 20.0


class Bridge:
    """Keeps the links that it was asked for; welcomes nobody by itself."""

    def __init__(self) -> None:
        self.links: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self.server: Server

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/api/node-link"

    async def handle(self, socket: ServerConnection) -> None:
        self.links.put_nowait(socket)
        await socket.wait_closed()

    async def link(self, *, welcome: float | None = 3.0) -> tuple[ServerConnection, Hello]:
        async with asyncio.timeout(PATIENCE):
            socket = await self.links.get()
        hello = await said(socket)
        assert isinstance(hello, Hello)
        if welcome is not None:
            await socket.send(encode(Welcome(welcome)))
        return socket, hello


@asynccontextmanager
async def bridge() -> AsyncIterator[Bridge]:
    made = Bridge()
    async with serve(made.handle, "127.0.0.1", 0) as made.server:
        yield made


class Node:
    def __init__(self) -> None:
        self.report = Report(Free(4, 2**30, 4), types=frozenset({"resize"}))
        self.told = 0
        self.considered: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def hello(self) -> Hello:
        return Hello("n", "life", "pool-id", "cpu", Capacity(4, 2**30, limit=4), self.report)

    async def consider(self, offer: Offer) -> Taken | Refused:
        await self.gate.wait()
        self.considered.append(offer.run_id)
        return Refused(offer.run_id, "no") if offer.run_id.startswith("no") else Taken(offer.run_id)

    def welcomed(self) -> None:
        self.told += 1

    @asynccontextmanager
    async def linked(self, url: str, key: str = "") -> AsyncIterator[BridgeLink]:
        link = BridgeLink(url, key, self.hello, lambda: self.report, self.consider, self.welcomed)
        task = asyncio.create_task(link.run())
        try:
            yield link
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skald_work_pools.node.link.bridge_link.Backoff", _Impatient)


class _Impatient:
    def __init__(self, **_more: Any) -> None: ...

    def reset(self) -> None: ...

    async def wait(self) -> None:
        await asyncio.sleep(0.01)


async def said(socket: ServerConnection) -> Any:
    async with asyncio.timeout(PATIENCE):
        return decode(await socket.recv())


async def change(socket: ServerConnection) -> Changes:
    while not isinstance(found := await said(socket), Changes):
        assert isinstance(found, Alive)
    return found


def offer(run: str) -> bytes:
    return encode(Offer(run, "pool-id", "default", {"id": run}))


async def test_a_node_says_hello_and_then_what_has_changed():
    node = Node()
    async with bridge() as made, node.linked(made.url) as link:
        socket, hello = await made.link(welcome=60)
        assert hello == node.hello()
        heard = hello.report
        for after in (
            replace(heard, draining=True),
            replace(heard, free=Free(1, 5, 0), leases=(_lease("a"), _lease("b"))),
            replace(heard, leases=(_lease("b"),), waiting=True),
        ):
            node.report = after
            while not link.connected:
                await asyncio.sleep(0.001)
            link.changed()
            heard = merged(heard, await change(socket))
            assert heard == after


async def test_who_has_nothing_to_say_is_alive():
    node = Node()
    async with bridge() as made, node.linked(made.url):
        socket, _ = await made.link(welcome=0.05)
        for _ in range(3):
            assert await said(socket) == Alive()
            await socket.send(encode(Alive()))
        assert node.told == 1


async def test_who_has_much_to_say_is_alive_all_the_same():
    node = Node()
    async with bridge() as made, node.linked(made.url) as link:
        socket, _ = await made.link(welcome=0.05)
        alive = count = 0
        while alive < 8:
            count += 1
            node.report = replace(node.report, free=Free(4, count, 4))
            link.changed()
            if await said(socket) == Alive():
                alive += 1
                await socket.send(encode(Alive()))
        assert node.told == 1


async def test_offers_are_answered_in_order():
    node = Node()
    async with bridge() as made, node.linked(made.url):
        socket, _ = await made.link(welcome=60)
        names = [f"{'no-' if number % 3 == 0 else ''}{number}" for number in range(30)]
        for name in names:
            await socket.send(offer(name))
        answers = [await said(socket) for _ in names]
        assert [answer.run_id for answer in answers] == node.considered == names
        assert all(isinstance(each, Refused) == each.run_id.startswith("no") for each in answers)


async def test_offers_that_were_given_up_are_passed_over(monkeypatch):
    monkeypatch.setattr("skald_work_pools.node.link.bridge_link.STALE", 0.05)
    node = Node()
    node.gate.clear()
    async with bridge() as made, node.linked(made.url):
        socket, _ = await made.link(welcome=0.02)
        await socket.send(offer("first"))
        await socket.send(offer("late"))
        for _ in range(10):
            assert isinstance(await said(socket), Alive)
            await socket.send(encode(Alive()))
        node.gate.set()
        await socket.send(offer("third"))
        answers = []
        while len(answers) < 2:
            if isinstance(found := await said(socket), Taken):
                answers.append(found.run_id)
            await socket.send(encode(Alive()))
        assert answers == ["first", "third"]


async def test_a_link_that_is_cut_is_opened_again():
    node = Node()
    async with bridge() as made, node.linked(made.url):
        for count in range(1, 4):
            socket, _ = await made.link(welcome=60)
            await socket.send(offer(f"run-{count}"))
            assert await said(socket) == Taken(f"run-{count}")
            assert node.told == count
            socket.transport.abort()


async def test_a_bridge_that_says_nothing_any_more_is_left():
    node = Node()
    async with bridge() as made, node.linked(made.url):
        await made.link(welcome=0.05)
        await made.link(welcome=60)


@pytest.mark.parametrize(
    "frame",
    [b'{"v":2,"kind":"welcome","body":{"every":3}}', b"what?", encode(Alive()), b'{"v":1,"kind":"x"}'],
)
async def test_a_bridge_that_is_not_understood_is_no_reason_to_end(frame: bytes, caplog):
    node = Node()
    async with bridge() as made, node.linked(made.url) as link:
        for _ in range(3):
            socket, _ = await made.link(welcome=None)
            await socket.send(frame)
        assert not link.connected and node.told == 0
        await made.link(welcome=60)
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1


async def test_an_unknown_word_of_the_bridge_is_passed_over():
    node = Node()
    async with bridge() as made, node.linked(made.url):
        socket, _ = await made.link(welcome=60)
        await socket.send(b'{"v":1,"kind":"from the future","body":{}}')
        await socket.send(offer("run"))
        assert await said(socket) == Taken("run")


async def test_a_wrong_key_is_told_once(caplog):
    def refuse(socket: ServerConnection, _request: object) -> Any:
        nonlocal asked
        asked += 1
        return socket.respond(401, "no")

    asked = 0
    node = Node()
    async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", 0, process_request=refuse) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with node.linked(url, "wrong"), asyncio.timeout(PATIENCE):
            while asked < 3:
                await asyncio.sleep(0.01)
    [told] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "set SKALD_API_KEY" in told and "wrong" not in told


async def test_the_key_goes_with_the_handshake():
    node = Node()
    async with bridge() as made, node.linked(made.url, "secret"):
        socket, _ = await made.link()
        assert socket.request.headers["Authorization"] == "Bearer secret"


async def test_without_a_bridge_there_is_no_link():
    node = Node()
    link = BridgeLink("", "", node.hello, lambda: node.report, node.consider, node.welcomed)
    async with asyncio.timeout(PATIENCE):
        await link.run()
    link.changed()
    assert not link.connected


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("", ""),
        ("  ", ""),
        ("http://bridge:8000", "ws://bridge:8000/api/node-link"),
        ("http://bridge:8000/", "ws://bridge:8000/api/node-link"),
        ("http://bridge:8000/api", "ws://bridge:8000/api/node-link"),
        ("https://bridge.example", "wss://bridge.example/api/node-link"),
        ("ws://[::1]:8000", "ws://[::1]:8000/api/node-link"),
        ("wss://bridge.example/behind/a/proxy?x=1", "wss://bridge.example/behind/a/proxy"),
    ],
)
def test_the_link_is_at_the_bridges_address(given: str, url: str):
    found = NodeSettings.from_environment({"SKALD_LINK": given, "SKALD_API_KEY": "secret"})
    assert found.link == url and found.link_key == "secret"
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    "given", ["bridge:8000", "ftp://bridge", "http://", "http://bridge:port", "http://[::1", "x"]
)
def test_an_address_that_is_none_is_named(given: str):
    with pytest.raises(ValueError, match="SKALD_LINK"):
        NodeSettings.from_environment({"SKALD_LINK": given})


def _lease(run: str) -> Lease:
    return Lease(run, Needs(cpus=1), (), datetime(2026, 1, 1, tzinfo=UTC))
