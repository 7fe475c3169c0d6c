"""dtask's routes, by the long way (ASGI) and by the short one (a socket's bytes)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from skald_bridge.api.access import Access
from skald_bridge.api.dtask import HEARTBEAT, RELEASE, SCHEDULE, WORKERS, Dtask, DtaskRoutes
from skald_bridge.api.guard import Guard
from skald_bridge.api.metrics import Requests
from skald_bridge.api.quick import LARGEST_HEAD, Quick
from skald_bridge.domain.placements import Kept
from skald_bridge.services.fleet import Fleet
from skald_bridge.services.loop import Wake
from skald_bridge.wire.dtask import LARGEST_BODY
from tests.unit.wire import dtask_cases as cases

START = datetime(2026, 1, 1, tzinfo=UTC)
LOCAL = Access("127.0.0.1")
HOST = (b"host", b"127.0.0.1:8000")


class Clock:
    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def pass_(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class NoLog:
    def read(self) -> list[Kept]:
        return []

    def granted(self, kept: Kept) -> None: ...

    def ended(self, task_id: str) -> None: ...

    def shorten(self, live: Any) -> None: ...


class World:
    def __init__(self, access: Access = LOCAL) -> None:
        self.clock = Clock()
        self.fleet = Fleet(self.clock, Wake(), NoLog())
        self.dtask = Dtask(self.fleet)
        self.requests = Requests()
        routes = DtaskRoutes(self._rest, self.dtask)
        guard = Guard(routes, access, self.requests)
        self.app = guard
        self.quick = Quick(self.dtask, lambda scope: guard.refusal(scope) is None, self.requests)

    async def _rest(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"elsewhere"})

    async def ask(
        self, method: str, path: str, body: bytes = b"", more: tuple[tuple[bytes, bytes], ...] = ()
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        sent: list[Any] = []
        given = [{"type": "http.request", "body": body}]
        gone = asyncio.Event()

        async def receive() -> Any:
            if given:
                return given.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(),
            "query_string": b"", "headers": [HOST, *more],
        }  # fmt: skip
        await self.app(scope, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"]), b"".join(each["body"] for each in sent[1:])

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """By both ways, which must not differ; for requests that change nothing."""
        status, headers, answer = await self.ask("POST", path, body)
        short = self.short(path, body)
        assert short == (status, headers, answer)
        return status, answer

    def short(self, path: str, body: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        data = request(path, body)
        assert self.quick.missing(data) == 0
        answer = self.quick.answer(data, ())
        assert answer is not None
        head, _, rest = answer.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        return int(first.split()[1]), dict(line.split(b": ", 1) for line in lines), rest


def request(path: str, body: bytes, *more: bytes) -> bytes:
    lines = [
        b"POST %s HTTP/1.1" % path.encode(), b"Host: localhost:8000", b"Content-Length: %d" % len(body), *more
    ]  # fmt: skip
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def described(headers: dict[bytes, bytes]) -> tuple[str, bool]:
    return headers[b"content-type"].decode(), headers.get(b"x-content-type-options") == b"nosniff"


async def test_what_is_refused():
    world = World()
    both = {(path, body) for body in cases.REFUSED.values() for path in (HEARTBEAT, SCHEDULE)}
    heartbeats = {(HEARTBEAT, body) for body in cases.BAD_HEARTBEATS.values()}
    for path, body in both | heartbeats | {(SCHEDULE, body) for body in cases.BAD_SCHEDULES.values()}:
        status, headers, answer = await world.ask("POST", path, body)
        assert (status, answer) == (400, cases.MALFORMED), body
        assert described(headers) == (cases.TEXT, True)
        assert world.short(path, body) == (status, headers, answer)
    assert (await world.ask("GET", WORKERS))[2] == b"[]\n"


async def test_methods():
    world = World()
    for method in cases.METHODS:
        for path in (HEARTBEAT, SCHEDULE, RELEASE):
            status, headers, answer = await world.ask(method, path)
            assert (status, answer, described(headers)) == (405, cases.NO_SUCH_METHOD, (cases.TEXT, True))
    for method in ("POST", "HEAD", "OPTIONS", "PUT", "DELETE"):
        assert (await world.ask(method, WORKERS))[0] == 405


async def test_other_paths_are_of_others():
    world = World()
    for path in ("/api/v1/nope", "/api/v1/workers/", "/api/v1", "/"):
        assert (await world.ask("GET", path))[2] == b"elsewhere"


@pytest.mark.parametrize(("body", "begin"), cases.GOOD_HEARTBEATS.values(), ids=cases.GOOD_HEARTBEATS)
async def test_heartbeats(body, begin):
    world = World()
    assert await world.post(HEARTBEAT, body) == (200, b'{"status":"ok"}\n')
    status, headers, listed = await world.ask("GET", WORKERS)
    assert (status, described(headers)) == (200, (cases.JSON, False))
    assert listed.startswith(b"[" + begin)
    assert listed.endswith(b'"LastHeartbeat":"2026-01-01T00:00:00Z","Status":"online"}]\n')


@pytest.mark.parametrize(
    ("body", "status", "answer"), cases.GOOD_SCHEDULES.values(), ids=cases.GOOD_SCHEDULES
)
async def test_requests(body, status, answer):
    world = World()
    await world.post(HEARTBEAT, cases.WORKER)
    assert await world.post(SCHEDULE, body) == (status, answer)


async def test_a_long_list_is_whole():
    world = World()
    for number in range(1203):
        world.dtask.post(HEARTBEAT, b'{"worker_id":"w%d"}' % number)
    listed = (await world.ask("GET", WORKERS))[2]
    assert listed.count(b'"WorkerID":"w') == 1203 and listed.endswith(b'"}]\n')


async def test_release():
    world = World()
    world.dtask.post(HEARTBEAT, b'{"worker_id":"w","max_tasks":1}')
    assert (await world.ask("POST", SCHEDULE, b'{"task_id":"a"}'))[2] == b'{"worker_id":"w"}\n'
    assert (await world.ask("POST", SCHEDULE, b'{"task_id":"b"}'))[0] == 503
    status, _, answer = await world.ask("POST", RELEASE, b'{"task_id":"a"}')
    assert (status, answer) == (200, b'{"status":"released","task_id":"a"}\n')
    assert await world.post(RELEASE, b'{"task_id":"a"}') == (200, b'{"status":"not held","task_id":"a"}\n')
    assert await world.post(RELEASE, b"{}") == (400, b'{"error":"task_id is required"}\n')
    assert (await world.ask("POST", SCHEDULE, b'{"task_id":"b"}'))[0] == 200


async def test_bounds():
    world = World()
    large = b'{"task_id":"t","x":"%s"}' % (b"x" * LARGEST_BODY)
    assert (await world.ask("POST", SCHEDULE, large))[0] == 413
    assert world.quick.missing(request(SCHEDULE, large)) < 0
    status, answer = await world.post(SCHEDULE, b'{"task_id":"%s"}' % (b"t" * 300))
    assert status == 400 and b"task_id" in answer
    status, answer = await world.post(HEARTBEAT, b'{"worker_id":"%s"}' % (b"t" * 300))
    assert status == 400 and b"worker_id" in answer
    status, answer = await world.post(SCHEDULE, b'{"task_id":"t","priority":"\\u001b[31m"}')
    assert status == 400 and b"priority" in answer


async def test_what_asks_for_more_is_told_more():
    world = World()
    has = b'{"gpus":2,"gpu_memory":"8GiB","cpus":4}'
    world.dtask.post(HEARTBEAT, b'{"worker_id":"w","max_tasks":9,"capacity":%s}' % has)
    world.dtask.post(HEARTBEAT, b'{"worker_id":"plain","max_tasks":9}')
    asked = b'{"task_id":"%s","needs":{"gpu_memory":"6GiB"},"lease":%d}'
    status, _, first = await world.ask("POST", SCHEDULE, asked % (b"a", 90))
    assert (status, first) == (200, b'{"worker_id":"w","gpus":[0],"lease_expires":"2026-01-01T00:01:30Z"}\n')
    assert b'"gpus":[1]' in (await world.ask("POST", SCHEDULE, asked % (b"b", 90)))[2]
    status, _, refused = await world.ask("POST", SCHEDULE, asked % (b"c", 90))
    assert status == 503
    assert refused.startswith(b'{"error":"no available worker matching requirements","reason":"no member')
    assert (await world.ask("POST", SCHEDULE, asked % (b"a", 90)))[2] == first


async def test_waiting_by_the_long_way_alone():
    world = World()
    data = request(SCHEDULE, b'{"task_id":"t","\\u0077ait":0.05}')
    assert world.quick.missing(data) == 0
    assert world.quick.answer(data, ()) is None
    body = b'{"task_id":"t","wait":0.05}'
    status, _, answer = await world.ask("POST", SCHEDULE, body)
    assert (status, answer) == (202, b'{"status":"queued","task_id":"t","position":1}\n')
    status, _, answer = await world.ask("POST", SCHEDULE, b'{"task_id":"u","max_wait_ms":20}')
    assert (status, answer) == (503, b'{"error":"timed out waiting for an available worker"}\n')
    asked = asyncio.ensure_future(world.ask("POST", SCHEDULE, b'{"task_id":"t","wait":20}'))
    await asyncio.sleep(0)
    world.dtask.post(HEARTBEAT, b'{"worker_id":"w","max_tasks":1,"address":"a:1"}')
    status, _, answer = await asked
    assert (status, answer) == (200, b'{"worker_id":"w","address":"a:1","queued":true}\n')
    counted = {"method": "POST", "route": f"{SCHEDULE} wait", "status": "200"}
    assert world.requests.registry.get_sample_value("skald_http_requests_total", counted) == 1


KEYED = Access("0.0.0.0", SecretStr("secret"))


async def test_the_short_way_is_guarded_too():
    world = World(KEYED)
    assert world.quick.missing(request(SCHEDULE, b"{}")) < 0
    assert world.quick.missing(request(SCHEDULE, b"{}", b"X-API-Key: wrong")) < 0
    assert world.quick.missing(request(SCHEDULE, b"{}", b"x-api-KEY: secret")) == 0
    assert world.quick.missing(request(SCHEDULE, b"{}", b"Authorization: Basic dzpzZWNyZXQ=")) == 0
    assert (await world.ask("POST", SCHEDULE, b"{}"))[0] == 401
    open_ = World()
    assert open_.quick.missing(request(SCHEDULE, b"{}")) == 0
    assert open_.quick.missing(request(SCHEDULE, b"{}", b"Origin: https://evil.example")) < 0
    assert open_.quick.missing(request(SCHEDULE, b"{}").replace(b"localhost", b"evil.example")) < 0


@pytest.mark.parametrize(
    "odd",
    [
        b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Connection: close", b"Upgrade: websocket",
        b"Content-Length: 2", b"Host: localhost", b"no colon", b" folded: x", b"a b: c", b"x: \x00", b"x: a\nb",
        b"Connection: keep-alive, upgrade", b": x", b"x\t: y",
    ],
)  # fmt: skip
def test_what_is_unusual_goes_the_long_way(odd):
    assert World().quick.missing(request(SCHEDULE, b"{}", odd)) < 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"POST", b"GET"), (b"POST", b"post"), (b"HTTP/1.1", b"HTTP/1.0"), (b"schedule", b"workers"),
        (b"schedule", b"schedule?x"), (b"POST /", b"POST  /"), (b"Length: 2", b"Length: +2"),
        (b"Length: 2", b"Length: 2, 2"), (b"Length: 2", b"Length: "), (b"Length: 2", b"Length: 0x2"),
        (b"Length: 2", b"Length: 99999999"), (b"Length: 2", "Length: ²".encode("latin-1")),
        (b"Content-Length: 2\r\n", b""), (b"Host: localhost:8000\r\n", b""), (b"\r\n", b"\n"), (b"{}", b"{}{}"),
    ],
)  # fmt: skip
def test_other_heads_go_the_long_way(before, after):
    data = request(SCHEDULE, b"{}")
    assert before in data
    assert World().quick.missing(data.replace(before, after)) < 0


def test_a_request_in_parts():
    world = World()
    data = request(SCHEDULE, b'{"task_id":"t"}', b"Connection: Keep-Alive")
    assert world.quick.missing(data) == 0
    assert world.quick.missing(data[:-5]) == 5
    assert world.quick.missing(data + b"POST") < 0
    assert world.quick.missing(data[:20]) < 0
    assert world.quick.missing(request(SCHEDULE, b"{}", b"x: " + b"y" * LARGEST_HEAD)) < 0
    assert world.quick.missing(request(SCHEDULE, b"{}", b"x:" + b" " * 8000 + b"\x00")) < 0


def test_requests_are_counted():
    world = World()
    world.short(SCHEDULE, b'{"task_id":"t"}')
    value = world.requests.registry.get_sample_value
    named = {"method": "POST", "route": SCHEDULE, "status": "503"}
    assert value("skald_http_requests_total", named) == 1
