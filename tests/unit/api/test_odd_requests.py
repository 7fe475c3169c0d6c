"""HEAD, WebSockets, HTTP/1.0, invented methods, encoded slashes, odd ids, and seats on the event streams."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client import generate_latest
from pydantic import ValidationError

from skald_bridge.api.access import Access
from skald_bridge.api.models import NewTask
from skald_bridge.api.problems import handle_problems
from skald_bridge.api.reading import known_id
from skald_bridge.domain.errors import NotFound
from tests.services.poll import auntil
from tests.unit.api.asked import KEY, KEYED, LOCAL, RUN, Asked, World, backend_of, headers


async def test_head_has_the_head_of_get() -> None:
    world = World()
    for path in ("/api/tasks/x", "/api/tasks/x/why", "/openapi.json", "/nothing"):
        get, head = await world.ask(path).end(), await world.ask(path, "HEAD").end()
        assert (head.status, head.headers) == (get.status, get.headers), path
        assert head.body == b"" and get.body
    text = generate_latest(world.requests.registry).decode()
    assert 'method="HEAD",route="/api/tasks/{task_id}",status="200"' in text


async def test_allow_names_head_wherever_there_is_get() -> None:
    world = World()
    for method in ("POST", "DELETE", "FOO"):
        found = await world.ask("/api/tasks/x", method).end()
        assert (found.status, found.headers[b"allow"]) == (405, b"GET, HEAD, PUT")


async def test_head_of_a_stream_ends_at_once() -> None:
    world = World()
    world.watch._ready.set()
    head = await world.ask("/api/events/tasks", "HEAD").end()
    assert head.status == 200 and head.headers[b"content-type"].startswith(b"text/event-stream")
    assert head.body == b"" and world.watch.clients == 0
    stream = await world.ask("/api/events/tasks").begun()
    assert (await world.ask("/api/events/skalds", "HEAD").end()).status == 503
    stream.leave()
    await stream.end()


async def test_one_stream_too_many_is_told_before_the_head() -> None:
    world = World()
    first = world.ask("/api/events/tasks")

    async def seated() -> bool:
        return world.watch.clients == 1

    await auntil(seated, 10, "it has a seat")
    second = await world.ask("/api/events/skalds").end()
    assert second.status == 503 and second.json()["remedy"]
    world.watch._ready.set()
    assert (await first.begun()).status == 200
    assert (await world.ask("/api/events/tasks").end()).status == 503
    assert world.watch.clients == 1
    first.leave()
    await first.end()
    assert world.watch.clients == 0
    third = await world.ask("/api/events/tasks").begun()
    assert third.status == 200
    third.leave()
    await third.end()


async def test_the_seat_of_a_client_that_left_early_is_free() -> None:
    world = World()
    left = world.ask("/api/events/tasks")

    async def seated() -> bool:
        return world.watch.clients == 1

    await auntil(seated, 10, "it has a seat")
    left.leave()
    world.watch._ready.set()
    await left.end()
    assert world.watch.clients == 0
    cancelled = World()
    waiting = cancelled.ask("/api/events/tasks")

    async def also() -> bool:
        return cancelled.watch.clients == 1

    await auntil(also, 10, "it has a seat")
    waiting.task.cancel()
    await asyncio.wait([waiting.task])
    assert cancelled.watch.clients == 0


OURS = {"host": "127.0.0.1:8000"}


@pytest.mark.parametrize(
    ("access", "given", "expected"),
    [
        (LOCAL, OURS, 404),
        (LOCAL, {"host": "evil.example"}, 421),
        (LOCAL, {}, 421),
        (LOCAL, {**OURS, "origin": "http://evil.example"}, 403),
        (LOCAL, {**OURS, "origin": "null"}, 403),
        (LOCAL, {**OURS, "origin": "http://127.0.0.1:8000"}, 404),
        (KEYED, {"host": "studio"}, 401),
        (KEYED, {"host": "studio", "x_api_key": "wrong"}, 401),
        (KEYED, {"host": "studio", "x_api_key": KEY}, 404),
        (KEYED, {"host": "studio", "x_api_key": KEY, "origin": "https://evil.example"}, 403),
        (KEYED, {"host": "studio", "access_control_request_method": "GET"}, 401),
    ],
)
@pytest.mark.parametrize("can_tell", [True, False])
async def test_websockets_pass_the_same_guard(
    access: Access, given: dict[str, str], expected: int, can_tell: bool
) -> None:
    scope: dict[str, Any] = {"type": "websocket", "headers": headers(**given), "subprotocols": []}
    if can_tell:
        scope["extensions"] = {"websocket.http.response": {}}
    asked = World(access).ask("/api/events/tasks", **scope)
    del asked.scope["method"]
    await asked.end()
    assert "websocket.accept" not in {message["type"] for message in asked.sent}
    if can_tell and expected != 404:
        assert (asked.sent[0]["type"], asked.status) == ("websocket.http.response.start", expected)
    elif not can_tell:
        assert asked.sent[0]["type"] == "websocket.close"
    if expected != 404:
        upgrade = {**given, "upgrade": "WebSocket", "connection": "Upgrade"}
        found = await World(access).ask("/api/tasks/x", headers=headers(**upgrade)).end()
        assert found.status == expected


async def test_scopes_of_an_unknown_type_are_refused() -> None:
    world = World(KEYED)
    for kind in ("webtransport", "raw", ""):
        asked = world.ask("/api/tasks/x", type=kind)
        with pytest.raises(RuntimeError):
            await asked.end()
        assert asked.sent == []


@pytest.mark.parametrize(
    ("access", "version", "given", "expected"),
    [
        (LOCAL, "1.0", {}, 200),
        (LOCAL, "1.0", {"host": "evil.example"}, 421),
        (LOCAL, "1.0", {"host": ""}, 421),
        (LOCAL, "1.1", {}, 421),
        (LOCAL, "2", {}, 421),
        (LOCAL, "1.0", OURS, 200),
        (KEYED, "1.0", {}, 401),
    ],
)
async def test_health_checks_without_a_host(
    access: Access, version: str, given: dict[str, str], expected: int
) -> None:
    asked = World(access).ask("/api/tasks/x", http_version=version, headers=headers(**given))
    assert (await asked.end()).status == expected


async def test_a_page_cannot_command_as_a_health_check() -> None:
    origin = headers(origin="http://evil.example")
    asked = World().ask("/api/tasks/x", "PUT", http_version="1.0", headers=origin)
    assert (await asked.end()).status == 403


async def test_invented_methods_are_one_method_in_the_metrics() -> None:
    world = World(KEYED)
    for number in range(200):
        await world.ask(f"/{number}", f"M{number}").end()
    await world.ask("/x", "get").end()
    text = generate_latest(world.requests.registry).decode()
    lines = [line for line in text.splitlines() if line.startswith("skald_http_requests_total")]
    assert lines == ['skald_http_requests_total{method="other",route="other",status="401"} 201.0']


@pytest.mark.parametrize(
    "path",
    ["/api/tasks/x%2Fwhy", "/api/tasks/x%2fwhy", "/api/tasks/%2F", "/api/tasks/x%2F", "/api%2Ftasks/x",
     "/%61pi/tasks/x%2Fwhy", "/api/tasks/%2e%2e%2Ftasks/x", "/api/tasks/a%2Fb/why"],
)  # fmt: skip
async def test_an_encoded_slash_is_no_other_route(path: str) -> None:
    for method in ("GET", "HEAD", "PUT"):
        found = await World().ask(path, method).end()
        assert found.status == 422, (method, found.sent)
        if method != "HEAD":
            assert found.json()["status"] == 422 and found.json()["remedy"]


@pytest.mark.parametrize("path", ["a%0Ab", "a%1B", "a%C2%85", "%C2%9B31m", "%00", "%7F", "x" * 201, "%0d"])
async def test_ids_in_paths_that_no_task_has(path: str) -> None:
    found = await World().ask(f"/api/tasks/{path}").end()
    assert found.status == 422 and found.json()["error"].startswith("task_id: ")
    json.dumps(found.json()).encode()


async def test_ids_that_are_reached() -> None:
    for path, task in (
        ("a%252Fb", "a%2Fb"),
        ("a%20b", "a b"),
        ("%3F%23", "?#"),
        ("%C3%BC", "ü"),
        ("..%5C", "..\\"),
    ):
        assert (await World().ask(f"/api/tasks/{path}/why").end()).json() == {"why": task}


async def test_a_run_is_meant_in_upper_case_too() -> None:
    upper, own = RUN.upper(), "0A1B2C3D-1111-4000-8000-00000000000A"
    assert await known_id(backend_of(RUN), upper) == RUN
    assert await known_id(backend_of(), upper) == RUN
    assert await known_id(backend_of(own), own) == own
    assert await known_id(backend_of(own.lower()), own) == own.lower()
    assert await known_id(backend_of(upper, RUN), upper) == upper
    assert await known_id(backend_of(), RUN) == RUN
    assert await known_id(backend_of(), "Order 7") == "Order 7"
    with pytest.raises(NotFound):
        await known_id(backend_of(), own)
    for path in ("/api/tasks/{}", "/api/tasks/{}/why"):
        found = await World().ask(path.format(upper)).end()
        assert list(found.json().values()) == [RUN]


@pytest.mark.parametrize(
    "bad", ["", "a/b", "a\nb", "\x1b[2J", "a\x85", "..", ".", " a", "a ", "x" * 201, "\ud800"]
)
def test_new_tasks_have_ids_that_every_route_reaches(bad: str) -> None:
    for document in ({"id": bad}, {"dependencies": ["fine", bad]}):
        with pytest.raises(ValidationError) as raised:
            NewTask.model_validate({"className": "probe", **document})
        first = raised.value.errors(include_input=False, include_url=False)[0]
        assert first["loc"][0] in ("id", "dependencies")
    assert NewTask.model_validate({"className": "p", "id": "a b%2F", "dependencies": ["ü"]}).id == "a b%2F"


async def test_what_a_client_sent_can_be_told_back() -> None:
    app = FastAPI()

    @app.post("/")
    async def create(new: NewTask) -> str:
        return new.class_name

    handle_problems(app)
    as_json = headers(content_type="application/json", **OURS)
    for body in (b'{"className": "a", "id": "a/b"}', b'{"className": "\\ud800"}', b'{"className": "\\n"}'):
        found = await Asked(app, "/", "POST", {"headers": as_json}, body).end()
        assert found.status == 422 and found.json()["remedy"]
