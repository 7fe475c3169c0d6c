"""An HTTP server of one file that breaks off, as servers and networks do."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class BreakingServer:
    """Serves ``path``. ``breaks``: after how many bytes the first, second, … answer breaks off.

    ``ranges``: whether it sends a part when asked for one; ``away``: seconds without an answer after a break;
    ``asked``: the first byte of each request, ``sent``: bytes of bodies.
    """

    path: Path
    breaks: list[int] = field(default_factory=list)
    ranges: bool = True
    away: float = 0.0
    asked: list[int] = field(default_factory=list)
    sent: int = 0
    port: int = 0
    back: float = 0.0

    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{self.path.name}"

    def handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                if time.monotonic() < server.back:
                    self.close_connection = True
                    return
                data = server.path.read_bytes()
                match = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
                begin = int(match[1]) if match and server.ranges else 0
                server.asked.append(begin)
                self.send_response(206 if match and server.ranges else 200)
                if server.ranges:
                    self.send_header("Accept-Ranges", "bytes")
                    if match:
                        self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
                self.send_header("Content-Length", str(len(data) - begin))
                self.end_headers()
                body = data[begin:]
                if server.breaks:
                    body = body[: server.breaks.pop(0)]
                    server.back = time.monotonic() + server.away
                    self.close_connection = True
                with contextlib.suppress(OSError):
                    for at in range(0, len(body), 8192):
                        self.wfile.write(body[at : at + 8192])
                        server.sent += len(body[at : at + 8192])

        return Handler


@contextlib.contextmanager
def breaking_server(path: Path, **script) -> Iterator[BreakingServer]:
    """``script``: fields of ``BreakingServer``."""
    made = BreakingServer(path, **script)
    http = ThreadingHTTPServer(("127.0.0.1", 0), made.handler())
    http.daemon_threads = True
    made.port = http.server_address[1]
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield made
    finally:
        http.shutdown()
        http.server_close()
