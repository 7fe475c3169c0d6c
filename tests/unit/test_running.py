"""Whether a Prefect server answers, asked over real HTTP."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import pytest

from skald_bridge.domain.errors import Unavailable
from skald_bridge.installation import running
from tests.services.poll import until

OURS = f'"{version("prefect")}"'


@contextmanager
def answering(answer: Callable[[str], tuple[int, str]]) -> Iterator[str]:
    """The URL of a server that answers a path with a status and a text."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_who_waits_for_an_answer_is_told_what_for(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = io.StringIO()
    monkeypatch.setattr(sys, "stderr", heard)
    monkeypatch.setattr(running, "_TELL_AFTER", 0.01)

    def once_told(path: str) -> tuple[int, str]:
        until(lambda: "waiting" in heard.getvalue(), 10, "the line on standard error")
        return 200, OURS

    with answering(once_told) as url:
        assert running.check_server(f"{url}/api") == version("prefect")
    assert heard.getvalue() == f"waiting for the Prefect API at {url}/api …\n"


def test_the_address_of_the_ui_gets_that_of_the_api() -> None:
    def ui(path: str) -> tuple[int, str]:
        return 200, OURS if path == "/api/admin/version" else "<html></html>"

    with answering(ui) as url, pytest.raises(Unavailable) as caught:
        running.check_server(url)
    assert caught.value.remedy == f"export PREFECT_API_URL={url}/api"


def test_a_server_without_a_version_is_taken_as_it_is() -> None:
    with answering(lambda path: (404, "")) as url:
        assert running.check_server(url) is None
