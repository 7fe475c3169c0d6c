"""Who is let in: keys, names, origins, sizes; and how far the dashboard's folder goes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import SecretStr
from starlette.requests import ClientDisconnect

from skald_bridge.api.access import Access, check_access, is_loopback
from skald_bridge.api.dashboard import check_dashboard, serve_dashboard
from skald_bridge.api.guard import LARGEST_BODY, Guard
from skald_bridge.api.metrics import Requests
from skald_bridge.domain.errors import InvalidInput

KEY = "a-long-random-text-ü"
LOCAL = Access("127.0.0.1")
KEYED = Access("0.0.0.0", SecretStr(KEY), ("https://desk.example",))


def app(access: Access, folder: Path | None = None) -> FastAPI:
    made = FastAPI()

    @made.api_route("/thing/{number}", methods=["GET", "POST"])
    async def thing(request: Request, number: int) -> int:
        return number + len(await request.body())

    if folder is not None:
        serve_dashboard(made, folder)
    made.add_middleware(Guard, access=access, requests=Requests())
    return made


async def status(
    access: Access, headers: Mapping[str, str | bytes], method: str = "GET", content: bytes = b""
) -> int:
    transport = httpx.ASGITransport(app(access))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        answer = await client.request(method, "/thing/1", headers=dict(headers), content=content)  # type: ignore[arg-type]
    return answer.status_code


def login(password: str, user: str = "anyone") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("host", "inside"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("[::1]", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("192.168.1.7", False), ("studio", False), ("localhost.evil", False)],
)  # fmt: skip
def test_only_loopback_needs_no_key(host: str, inside: bool) -> None:
    assert is_loopback(host) is inside
    check_access(Access(host, SecretStr(KEY)))
    if inside:
        check_access(Access(host))
    else:
        with pytest.raises(InvalidInput, match="SKALD_API_KEY"):
            check_access(Access(host))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 401),
        ({"X-API-Key": KEY.encode()}, 200),
        ({"Authorization": f"Bearer {KEY}".encode()}, 200),
        ({"Authorization": f"bearer  {KEY}".encode()}, 200),
        ({"Authorization": login(KEY)}, 200),
        ({"Authorization": login(KEY, "")}, 200),
        ({"X-API-Key": KEY[:-1].encode()}, 401),
        ({"X-API-Key": b"\xff\xfe"}, 401),
        ({"X-API-Key": ""}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": f"Token {KEY}".encode()}, 401),
        ({"Authorization": "Basic %%%"}, 401),
        ({"Authorization": login("x")}, 401),
        ({"Authorization": login(KEY + "x")}, 401),
        ({"X-API-Key": KEY.encode(), "Host": "studio.example"}, 200),
    ],
)
async def test_the_key(headers: dict[str, str | bytes], expected: int) -> None:
    assert await status(KEYED, headers) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1:8000", 200), ("localhost", 200), ("LOCALHOST:1", 200), ("[::1]:8000", 200),
     ("evil.example", 421), ("127.0.0.1.evil.example", 421), ("localhost@evil.example", 421), ("", 421), ("[", 421)],
)  # fmt: skip
async def test_without_a_key_only_our_own_names_are_answered_to(host: str, expected: int) -> None:
    assert await status(LOCAL, {"Host": host}) == expected


@pytest.mark.parametrize(
    ("access", "origin", "expected"),
    [
        (LOCAL, "http://127.0.0.1:8000", 200),
        (LOCAL, "http://127.0.0.1:9", 403),
        (LOCAL, "https://evil.example", 403),
        (LOCAL, "null", 403),
        (KEYED, "https://desk.example", 200),
        (KEYED, "https://desk.example.evil", 403),
    ],
)
async def test_pages_of_other_origins_may_not_command(access: Access, origin: str, expected: int) -> None:
    headers: dict[str, str | bytes] = {"Origin": origin, "X-API-Key": KEY.encode()}
    assert await status(access, headers, "POST") == expected
    assert await status(access, headers, "GET") == 200


async def test_bodies_have_an_end() -> None:
    assert await status(LOCAL, {}, "POST", b"x" * 1000) == 200
    assert await status(LOCAL, {}, "POST", b"x" * (LARGEST_BODY + 1)) == 413
    sent = 0

    async def endless() -> object:
        nonlocal sent
        sent += 1
        return {"type": "http.request", "body": b"x" * 2**20, "more_body": sent < 1000}

    async def nowhere(_message: object) -> None: ...

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/thing/1",
        "raw_path": b"/thing/1",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    with pytest.raises(ClientDisconnect):
        await app(LOCAL)(scope, endless, nowhere)  # type: ignore[arg-type]
    assert sent * 2**20 <= LARGEST_BODY + 2**21


async def test_the_dashboard_ends_at_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("the page")
    (folder / "assets" / "a.js").write_text("code")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    transport = httpx.ASGITransport(app(LOCAL, folder))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        for path in ("/dashboard/", "/dashboard/tasks", "/dashboard/tasks/7"):
            answer = await client.get(path)
            assert (answer.status_code, answer.text) == (200, "the page"), path
            assert answer.headers["Cache-Control"] == "no-cache"
        assert (await client.get("/dashboard/assets/a.js")).text == "code"
        assert (await client.get("/vite.svg")).status_code == 204
        assert (await client.get("/")).headers["Location"] == "/dashboard/"
        for path in (
            "/dashboard/../secret.txt",
            "/dashboard/%2e%2e/secret.txt",
            "/dashboard/..%2fsecret.txt",
            "/dashboard/assets/..%2f..%2fsecret.txt",
            "/dashboard//etc/passwd",
            "/dashboard/%2fetc%2fpasswd",
            "/dashboard/link.txt",
            "/dashboard/assets/none.js",
            "/dashboard/%00",
        ):
            answer = await client.get(path)
            assert "secret" not in answer.text and "root:" not in answer.text, path
            assert answer.status_code == 404 or answer.text == "the page", (path, answer.status_code)
    with pytest.raises(InvalidInput, match=r"index\.html"):
        check_dashboard(tmp_path)
