"""dtask's HTTP API on the bridge: requests for a place a second, and what heartbeats cost on the wire.

A real bridge, its own process; the clients are threads of this one, on raw sockets, each with a connection that it
keeps. Workers are reported with mixed tags, half of their slots taken, and go on reporting every three seconds where
there are at most 5,000. Each request asks for one of eight tags and has an id of its own. ``per core`` divides by
the CPU seconds that the bridge has spent meanwhile, heartbeats and its other duties among them: on a machine that
others use, that is what one core would answer. Beside them dtask's server itself, where ``--peer`` names it.

The wire: what 500 workers send and are sent at a heartbeat each three seconds, TCP and IP headers included (20 bytes
each, 12 of timestamps, an acknowledgement for each answer), on connections that are kept and, as dtask's worker
does it, on one connection for each heartbeat. The last line is one JSON object: ``http_per_s`` and
``http_per_core_s`` keyed by the number of workers, ``http_p50_ms``, ``http_p99_ms`` likewise,
``heartbeat_kB_per_s`` and ``heartbeat_new_connections_kB_per_s``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from rich.console import Console
from rich.table import Table

from tests.services.poll import until
from tests.services.prefect_server import free_port, running_server
from tests.services.rest import running_rest

SIZES = (500, 5_000, 50_000)
PERIOD = 3.0
SLOTS = 1_000_000
TAGS = 8
SYNCED = 5_000
"""Workers that one Python client can report every three seconds beside the requests."""
_HEADERS = 52
_HANDSHAKE = 60 + 60 + _HEADERS
_FAREWELL = 4 * _HEADERS


@dataclass
class Side:
    """One server's figures for one number of workers."""

    workers: int
    per_second: float
    per_core_second: float
    p50: float
    p99: float


@dataclass
class Server:
    name: str
    port: int
    process: psutil.Process

    def cpu(self) -> float:
        taken = 0.0
        for each in (self.process, *self.process.children(recursive=True)):
            times = each.cpu_times()
            taken += times.user + times.system
        return taken


@dataclass
class Connection:
    """HTTP/1.1 by hand: one request, one answer."""

    port: int
    sent: int = 0
    received: int = 0
    _socket: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self.port), 60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, body: bytes, *, as_go: bool = False) -> bytes:
        agent = (
            "User-Agent: Go-http-client/1.1\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n"
        )
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        data = f"{head}{agent if as_go else ''}\r\n".encode() + body
        self._socket.sendall(data)
        self.sent += len(data)
        answer = b""
        while True:
            answer += self._socket.recv(65536)
            end = answer.find(b"\r\n\r\n")
            if end >= 0:
                begin = answer.lower().index(b"content-length:") + 15
                length = int(answer[begin : answer.index(b"\r", begin)])
                if len(answer) == end + 4 + length:
                    self.received += len(answer)
                    return answer

    def close(self) -> None:
        self._socket.close()


def heartbeat(number: int) -> bytes:
    said = {
        "worker_id": f"worker-{number:05d}",
        "timestamp": 1_702_540_800,
        "resource_tags": [f"tag-{number % TAGS}", "linux", f"zone-{number % 3}"],
        "max_tasks": SLOTS,
        "current_tasks": SLOTS // 2 + number % 1000,
        "address": f"10.0.{number // 256}.{number % 256}:9000",
    }
    return json.dumps(said, separators=(",", ":")).encode()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.dtask", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--clients", type=int, default=4, help="connections that ask at once")
    parser.add_argument("--peer", type=Path, help="dtask-scheduler's own server, measured beside")
    parser.add_argument("--json-only", action="store_true", help="no table")
    options = parser.parse_args()
    ours: list[Side] = []
    peers: list[Side] = []
    with tempfile.TemporaryDirectory(prefix="skald-bench-") as folder:
        home = Path(folder)
        with running_server(home / "prefect") as prefect:
            for size in options.sizes:
                with running_rest(prefect, home / f"bridge-{size}") as rest:
                    server = Server("bridge", urlsplit(rest.url).port or 0, psutil.Process(rest.process.pid))
                    ours.append(measured(server, size, options.seconds, options.clients))
                    if size == options.sizes[0]:
                        kept, new = on_the_wire(server)
                if options.peer is not None:
                    with peer(options.peer) as server:
                        peers.append(measured(server, size, options.seconds, options.clients))
    if not options.json_only:
        show(ours, peers, options.clients, kept, new)
    print(json.dumps(figures(ours, peers, kept, new)))


@contextlib.contextmanager
def peer(program: Path) -> Iterator[Server]:
    port = free_port()
    process = subprocess.Popen(
        [program, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: _answers(port), 20, "dtask's server")
        yield Server("dtask", port, psutil.Process(process.pid))
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def measured(server: Server, size: int, seconds: float, clients: int) -> Side:
    """Requests by ``clients`` connections for ``seconds``, while the workers go on reporting."""
    bodies = [heartbeat(number) for number in range(size)]
    reporting = Connection(server.port)
    for body in bodies:
        assert b" 200 " in reporting.post("/api/v1/heartbeat", body)
    over = threading.Event()
    if size <= SYNCED:
        keeps = threading.Thread(target=_report, args=(reporting, bodies, over))
        keeps.start()
    before, began = server.cpu(), time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        asked = [pool.submit(_ask, server.port, number, began + seconds) for number in range(clients)]
        times = sorted(each for answers in asked for each in answers.result())
    wall, cpu = time.monotonic() - began, server.cpu() - before
    over.set()
    if size <= SYNCED:
        keeps.join()
    reporting.close()
    share = len(times) / cpu if cpu else 0.0
    return Side(size, len(times) / wall, share, times[len(times) // 2], times[len(times) * 99 // 100])


def _report(connection: Connection, bodies: list[bytes], over: threading.Event) -> None:
    began, count = time.monotonic(), 0
    while not over.wait(0.05):
        due = int((time.monotonic() - began) / PERIOD * len(bodies))
        for number in range(count, due):
            connection.post("/api/v1/heartbeat", bodies[number % len(bodies)])
        count = max(count, due)


def _ask(port: int, client: int, until_: float) -> list[float]:
    """Seconds of each request; every one must be granted, but where workers fall silent meanwhile."""
    connection, times = Connection(port), []
    number = 0
    while (began := time.monotonic()) < until_:
        body = b'{"task_id":"task-%d-%d","required_tags":["tag-%d"]}' % (client, number, number % TAGS)
        answer = connection.post("/api/v1/schedule", body)
        times.append(time.monotonic() - began)
        assert b" 200 " in answer, answer
        number += 1
    connection.close()
    return times


def on_the_wire(server: Server, workers: int = 500) -> tuple[float, float]:
    """Bytes a second, on connections that are kept and on new ones."""
    connection = Connection(server.port)
    for number in range(workers):
        connection.post("/api/v1/heartbeat", heartbeat(number), as_go=True)
    connection.close()
    kept = connection.sent + connection.received + workers * 3 * _HEADERS
    new = kept + workers * (_HANDSHAKE + _FAREWELL)
    return kept / PERIOD, new / PERIOD


def figures(ours: list[Side], peers: list[Side], kept: float, new: float) -> dict[str, object]:
    found: dict[str, object] = {
        "http_per_s": {str(side.workers): round(side.per_second) for side in ours},
        "http_per_core_s": {str(side.workers): round(side.per_core_second) for side in ours},
        "http_p50_ms": {str(side.workers): round(side.p50 * 1000, 3) for side in ours},
        "http_p99_ms": {str(side.workers): round(side.p99 * 1000, 3) for side in ours},
        "heartbeat_kB_per_s": round(kept / 1000, 1),
        "heartbeat_new_connections_kB_per_s": round(new / 1000, 1),
    }
    if peers:
        found["peer_http_per_s"] = {str(side.workers): round(side.per_second) for side in peers}
        found["peer_http_per_core_s"] = {str(side.workers): round(side.per_core_second) for side in peers}
    return found


def show(ours: list[Side], peers: list[Side], clients: int, kept: float, new: float) -> None:
    table = Table(title=f"POST /api/v1/schedule on {clients} connections")
    for name in ("workers", "requests/s", "per core", "p50", "p99"):
        table.add_column(name, justify="right")
    for name, sides in (("", ours), (" (dtask)", peers)):
        for side in sides:
            table.add_row(
                f"{side.workers:,}{name}",
                f"{side.per_second:,.0f}",
                f"{side.per_core_second:,.0f}",
                f"{side.p50 * 1000:.2f} ms",
                f"{side.p99 * 1000:.2f} ms",
            )
    console = Console(width=120)
    console.print(table)
    console.print(
        f"heartbeats of 500 workers: {kept / 1000:.0f} kB/s on kept connections, {new / 1000:.0f} on new ones"
    )


if __name__ == "__main__":
    main()
