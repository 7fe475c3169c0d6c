"""Plain HTTP to Prefect: when it will do, and how it behaves towards a server that is busy."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from skald_bridge.adapters.prefect_connection import Broken, Refused
from skald_bridge.adapters.prefect_http import plain_http, subscription, wait_before
from skald_bridge.adapters.prefect_settings import Login, plain_login

URL = {"PREFECT_API_URL": "http://127.0.0.1:4200/api"}


@pytest.mark.parametrize(
    ("settings", "login"),
    [
        ({}, Login(None)),
        (URL, Login(None)),
        ({**URL, "PREFECT_API_AUTH_STRING": "admin:pass"}, Login("admin:pass")),
        ({**URL, "prefect_client_csrf_support_enabled": "False"}, Login(None)),
        ({**URL, "PREFECT_CLIENT_CUSTOM_HEADERS": ""}, Login(None)),
        ({**URL, "PREFECT_HOME": "/x", "PREFECT_SERVER_API_AUTH_STRING": "a:b", "HOME": "/"}, Login(None)),
        ({**URL, "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true"}, None),
        ({**URL, "PREFECT_CLIENT_CUSTOM_HEADERS": '{"X-Team": "a"}'}, None),
        ({**URL, "prefect_api_key": "pnu_1"}, None),
        ({**URL, "PREFECT_API_SSL_CERT_FILE": "/ca.pem"}, None),
        ({**URL, "PREFECT_API_REQUEST_TIMEOUT": "5"}, None),
        ({**URL, "https_proxy": "http://proxy:3128"}, None),
    ],
)
def test_plain_http_will_do_where_no_setting_needs_more(
    settings: dict[str, str], login: Login | None
) -> None:
    assert plain_login("http://skald.example:4200/api", settings) == login


def test_waits_are_the_servers_choice_else_twice_as_long_each_time() -> None:
    assert [wait_before(attempt, None) for attempt in (1, 2, 3, 9)] == [2, 4, 8, 32]
    assert [wait_before(1, said) for said in ("0", "1.5", "-3", "600", "Sat, 28 Nov 2026 16:00:00 GMT")] == [
        0, 1.5, 0, 32, 2,
    ]  # fmt: skip


def test_a_subscription_asks_for_what_comes() -> None:
    now = datetime(2026, 11, 28, tzinfo=UTC)
    asked = subscription(["a", "b"], now)
    occurred = asked["filter"]["occurred"]
    assert (asked["filter"]["event"], asked["backfill"]) == ({"name": ["a", "b"]}, False)
    assert datetime.fromisoformat(occurred["since"]) < now
    assert datetime.fromisoformat(occurred["until"]) > now + timedelta(days=100)


@contextmanager
def answering(statuses: list[int]) -> Iterator[tuple[str, list[str]]]:
    """A server that answers with these statuses in turn; its URL, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(f"{self.path} {self.rfile.read(int(self.headers['Content-Length'])).decode()}")
            self.send_response(statuses[len(asked) - 1])
            self.send_header("Retry-After", "0")
            self.send_header("Location", "http://elsewhere/api")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_busy_server_is_asked_again() -> None:
    with answering([503, 429, 201]) as (url, asked):
        async with plain_http(url) as http:
            assert await http.request("POST", "/flows/", {"name": "x"}) == {}
    assert asked == ['/api/flows/ {"name": "x"}'] * 3


@pytest.mark.parametrize(("status", "times"), [(503, 6), (500, 1), (404, 1)])
async def test_a_refusal_is_raised(status: int, times: int) -> None:
    with answering([status] * 10) as (url, asked):
        async with plain_http(url) as http:
            with pytest.raises(Refused) as caught:
                await http.request("POST", "/flows/", {})
    assert (caught.value.status, len(asked)) == (status, times)


def test_what_runs_here_is_asked_past_any_proxy() -> None:
    for url in ("http://127.0.0.1:4200/api", "http://localhost:4200/api", "http://[::1]:4200/api"):
        assert plain_login(url, {"HTTP_PROXY": "http://proxy:3128"}) == Login(None)


async def test_leaving_ends_what_a_silent_server_was_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with plain_http(f"http://127.0.0.1:{silent.getsockname()[1]}/api") as http:
            asking = asyncio.create_task(http.request("GET", "/health"))
            accepted, _ = await asyncio.to_thread(silent.accept)
            with accepted:
                await asyncio.to_thread(accepted.recv, 1000)
                http.close()  # type: ignore[attr-defined]
                with pytest.raises(Broken):
                    await asyncio.wait_for(asking, 30)


async def test_a_connection_that_the_server_has_closed_is_not_used_again() -> None:
    with answering([200, 200]) as (url, asked):
        async with plain_http(url) as http:
            for _ in range(2):
                assert await http.request("POST", "/flows/", {}) == {}
    assert len(asked) == 2


async def test_a_redirect_names_where_to() -> None:
    with answering([308]) as (url, _):
        async with plain_http(url) as http:
            with pytest.raises(Refused, match=r"308 it redirects to http://elsewhere/api"):
                await http.request("POST", "/flows/", {})
