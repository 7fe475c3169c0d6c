"""Where the API listens, and where it refuses to; what a key changes; REST beside `skald up`."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.cli.test_up import Up
from tests.services.http import request
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer, free_port
from tests.services.rest import running_rest
from tests.services.skald_cli import skald

pytestmark = pytest.mark.server
KEY = "a-long-random-text-0123456789"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_others_are_not_let_in_without_a_key(server: PrefectServer, tmp_path: Path, host: str) -> None:
    env = {"PREFECT_API_URL": server.url, "SYSTEM_CONTROLLER_HOST": host}
    skald("bridge", home=tmp_path, env=env).is_clear(2, host, "SKALD_API_KEY")
    skald("bridge", home=tmp_path, env={**env, "SKALD_API_KEY": " "}).is_clear(2, host, "SKALD_API_KEY")
    skald("up", home=tmp_path, env=env).is_clear(2, host, "SKALD_API_KEY")


def test_an_address_that_cannot_be_had(server: PrefectServer, tmp_path: Path, taken: int) -> None:
    env = {"PREFECT_API_URL": server.url, "SKALD_API_KEY": KEY}
    answer = skald("bridge", "--port", str(taken), home=tmp_path, env=env)
    answer.is_clear(4, str(taken), "already taken", "SYSTEM_CONTROLLER_PORT")
    skald("bridge", "--host", "192.0.2.1", home=tmp_path, env=env).is_clear(2, "192.0.2.1", "--host")
    skald("bridge", "--host", "no.such.invalid", home=tmp_path, env=env).is_clear(2, "no.such.invalid")
    assert not (tmp_path / "journal.db").exists()


def test_a_dashboard_that_is_none(server: PrefectServer, tmp_path: Path) -> None:
    answer = skald("bridge", "--dashboard", str(tmp_path), home=tmp_path, env={"PREFECT_API_URL": server.url})
    answer.is_clear(2, "--dashboard", "index.html")


def test_everywhere_with_a_key_and_never_without_it(server: PrefectServer, tmp_path: Path) -> None:
    env = {"SKALD_CORS_ORIGINS": "https://desk.example"}
    with running_rest(server, tmp_path, "--host", "0.0.0.0", env=env, key=KEY) as rest:
        for path in (
            "/api/tasks/",
            "/api/system/health",
            "/api/events/tasks",
            "/metrics",
            "/api/openapi.json",
            "/",
        ):
            answer = request("GET", f"{rest.url}{path}")
            assert answer.status_code == 401, path
            assert answer.headers["WWW-Authenticate"].startswith("Basic")
            assert answer.json()["remedy"]
        assert rest.get("/api/tasks/?id=no-such")["total"] == 0
        asked = {"Origin": "https://desk.example", "Access-Control-Request-Method": "PUT"}
        preflight = httpx.options(f"{rest.url}/api/tasks/x/status", headers=asked)
        assert preflight.headers["Access-Control-Allow-Origin"] == "https://desk.example"
        other = httpx.options(
            f"{rest.url}/api/tasks/x/status", headers={**asked, "Origin": "https://evil.example"}
        )
        assert "Access-Control-Allow-Origin" not in other.headers
        assert KEY not in rest.log()


def test_no_other_page_may_read_or_command_on_loopback(server: PrefectServer, tmp_path: Path) -> None:
    with running_rest(server, tmp_path) as rest:
        foreign = {"Origin": "https://evil.example"}
        assert "Access-Control-Allow-Origin" not in rest.ask("GET", "/api/tasks/", headers=foreign).headers
        assert rest.ask("DELETE", "/api/tasks/x", headers=foreign).status_code == 403
        assert rest.ask("GET", "/api/tasks/", headers={"Host": "evil.example"}).status_code == 421
        assert rest.ask("GET", "/api/tasks/").headers["X-Frame-Options"] == "DENY"


def test_without_prefect_it_reads_and_says_so(own_server: PrefectServer, tmp_path: Path) -> None:
    with running_rest(own_server, tmp_path / "home") as rest:
        until(lambda: rest.get("/api/system/health")["status"] == "healthy", 30, "all well")
        own_server.kill()
        assert rest.get("/api/tasks/") == {"items": [], "total": 0, "page": 1, "pageSize": 20}
        for method, path in (
            ("DELETE", "/api/tasks/x"),
            ("POST", "/api/tasks/x/pause"),
            ("GET", "/api/tasks/x"),
        ):
            answer = rest.ask(method, path)
            assert answer.status_code == 503 and "Prefect" in answer.json()["error"], answer.text
        created = rest.ask("POST", "/api/tasks/", {"className": "probe"})
        assert created.status_code == 503 and created.json()["remedy"]
        until(lambda: rest.get("/api/system/health")["status"] == "degraded", 60, "what is wrong is said")
        assert "Prefect" in " ".join(rest.get("/api/system/health")["services"].values())
        own_server.start()
        until(lambda: rest.get("/api/system/health")["status"] == "healthy", 60, "all well again")


def test_up_answers_rest_and_goes_on_where_the_port_is_taken(
    server: PrefectServer, tmp_path: Path, taken: int
) -> None:
    for number, port in enumerate((free_port(), taken)):
        home = tmp_path / str(number)
        home.mkdir()
        env = {"PREFECT_API_URL": server.url, "SYSTEM_CONTROLLER_PORT": str(port)}
        up = Up(home, "--no-node", "--pool", "up-rest", env=env)
        try:
            up.wait_up()
            if port == taken:
                assert up.said("no REST API", str(taken), "SYSTEM_CONTROLLER_PORT")
            else:
                until(lambda: _healthy(f"http://127.0.0.1:{port}"), 30, "REST")  # noqa: B023
                assert up.said(f"http://127.0.0.1:{port}/api")
        finally:
            up.process.terminate()
            assert up.process.wait(30) == 0, up.output.read_text()


def _healthy(url: str) -> bool:
    try:
        return bool(request("GET", f"{url}/api/system/health").status_code == 200)
    except httpx.HTTPError:
        return False
