"""A Prefect server of another major version."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import prefect
import pytest

from tests.services.skald_cli import skald

COMMANDS = [
    ("tasks",),
    ("nodes",),
    ("submit", "transcode", "source=a.mp4"),
    ("why", "00000000-0000-0000-0000-000000000000"),
    ("pool", "cpu"),
    ("node", "--pool", "cpu"),
    ("bridge",),
    ("deploy",),
    ("up",),
]


@contextlib.contextmanager
def server_of_version(version: str) -> Iterator[tuple[str, list[str]]]:
    """The URL of an API that tells its version and nothing else, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            known = self.path == "/api/admin/version"
            body = json.dumps(version if known else {"detail": "Not Found"}).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}/api", asked
        finally:
            httpd.shutdown()
            thread.join()


@pytest.mark.parametrize("version", ["2.20.1", "4.0.0"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_command_says_both_versions_and_does_nothing(
    command: tuple[str, ...], version: str, tmp_path: Path
) -> None:
    with server_of_version(version) as (url, asked):
        answer = skald(*command, home=tmp_path, env={"PREFECT_API_URL": url})
    answer.is_clear(4, version, prefect.__version__, url, "PREFECT_API_URL")
    assert asked == ["/api/admin/version"]


def test_the_doctor_says_it_too(tmp_path: Path) -> None:
    with server_of_version("2.20.1") as (url, _):
        answer = skald("doctor", "--json", home=tmp_path, env={"PREFECT_API_URL": url})
    assert answer.code == 1, answer
    (check,) = (one for one in json.loads(answer.out)["checks"] if one["name"] == "Prefect API")
    assert check["status"] == "failed"
    assert "2.20.1" in check["detail"]
    assert check["remedy"]


def test_a_server_of_our_major_version_is_spoken_to(tmp_path: Path) -> None:
    with server_of_version("3.99.0") as (url, asked):
        answer = skald("tasks", home=tmp_path, env={"PREFECT_API_URL": url})
    assert "3.99.0" not in answer.err, answer
    assert len(asked) > 1
