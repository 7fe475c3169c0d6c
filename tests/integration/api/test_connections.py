"""A bridge that may open few files, and clients that open as many connections as they can."""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.services.poll import until
from tests.services.prefect_server import PrefectServer
from tests.services.rest import Rest, running_rest

pytestmark = pytest.mark.server
DESCRIPTORS = 256
SILENT = 1100


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096 if hard < 0 else min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_files(rest: Rest) -> int:
    return len(list(Path(f"/proc/{bridge_pid(rest)}/fd").iterdir()))


def bridge_pid(rest: Rest) -> int:
    """The process that listens, which a leash may have started."""
    pid = rest.process.pid
    while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        pid = int(children[0])
    return pid


def closed(clients: list[socket.socket]) -> int:
    poll = select.poll()
    for client in clients:
        poll.register(client, select.POLLIN | select.POLLHUP)
    count = 0
    by_number = {client.fileno(): client for client in clients}
    for number, _ in poll.poll(0):
        with contextlib.suppress(BlockingIOError):
            try:
                while data := by_number[number].recv(4096):
                    assert b"503" in data
            except ConnectionError:
                pass
            count += 1
    return count


def test_silent_connections(server: PrefectServer, tmp_path: Path, many_descriptors: None) -> None:
    with contextlib.ExitStack() as stack:
        rest = stack.enter_context(running_rest(server, tmp_path, descriptors=DESCRIPTORS))
        until(lambda: rest.get("/api/system/health")["status"] == "healthy", 30, "all well")
        parts = urlsplit(rest.url)
        clients: list[socket.socket] = []
        highest = 0
        for number in range(SILENT):
            client = stack.enter_context(
                socket.create_connection((parts.hostname or "", parts.port or 0), 30)
            )
            client.setblocking(False)
            clients.append(client)
            if number % 100 == 0:
                assert rest.get("/api/system/health")["status"] == "healthy"
                highest = max(highest, open_files(rest))
        assert rest.get("/api/tasks/")["items"] is not None
        assert DESCRIPTORS / 4 < highest < DESCRIPTORS - 30
        until(lambda: closed(clients) == SILENT, 150, "every silent connection is closed")
        assert rest.get("/api/system/health")["status"] == "healthy"
        log = (rest.home / "bridge.log").read_text()
        assert "Too many open files" not in log and "Traceback" not in log
        assert log.count("REST has 128 connections") == 1 and len(log) < 20_000


def test_a_health_check_by_http_1_0(server: PrefectServer, tmp_path: Path) -> None:
    with running_rest(server, tmp_path) as rest:
        parts = urlsplit(rest.url)
        for request, status in (
            (b"GET /api/system/health HTTP/1.0\r\n\r\n", b"200"),
            (b"HEAD /api/system/health HTTP/1.0\r\n\r\n", b"200"),
            (b"HEAD /api/events/tasks HTTP/1.0\r\n\r\n", b"200"),
            (b"HEAD /metrics HTTP/1.0\r\n\r\n", b"200"),
            (b"GET /api/system/health HTTP/1.0\r\nHost: evil.example\r\n\r\n", b"421"),
            (b"GET /api/system/health HTTP/1.1\r\n\r\n", b"400"),
        ):
            with socket.create_connection((parts.hostname or "", parts.port or 0), 30) as client:
                client.sendall(request)
                answer = b"".join(iter(lambda: client.recv(65536), b""))
                assert answer.split()[1] == status, answer
                assert request.startswith(b"GET") or answer.endswith(b"\r\n\r\n")
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        connection.request("PUT", "/api/tasks/x")
        allowed = connection.getresponse()
        assert (allowed.status, allowed.headers["Allow"]) == (405, "DELETE, GET, HEAD")
        assert json.loads(allowed.read())["remedy"]
        connection.close()
