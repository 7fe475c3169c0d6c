"""The start bench's arithmetic, and what its counting proxy counts."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from rich.console import Console

from tests.benchmarks.measures import Burst, Memory, Requests, Sample
from tests.benchmarks.table import Side, Warm, figures, show, show_warm, warm_figures
from tests.services.counting_proxy import counting

STOCK = Side(
    [Sample(0.5, 2.0, 2.5, 2.6), Sample(None, None, 3.5, 3.6), Sample(0.6, 2.2, 3.0, 3.1)],
    Burst(50, 50, 100.0),
    Memory(80 * 2**20, 0),
    Requests(32.0, 2.1, {"POST /flow_runs/ID/set_state": 4.0}),
)
NODE = Side(
    [Sample(0.05, 0.1, 0.1, 0.2), Sample(0.05, 0.1, 0.2, 0.3)],
    Burst(50, 49, 9.8),
    Memory(40 * 2**20, 0),
    Requests(12.0, 0.1, {"POST /flow_runs/ID/set_state": 3.0, "PATCH /flow_runs/ID": 1.0}),
)


def test_the_figures_have_the_names_that_programs_read_and_say_how_many_times_better() -> None:
    told = json.loads(json.dumps(figures("postgres", STOCK, NODE)))
    expected = {
        "database": "postgres",
        "stock_p50_s": 3.0,
        "stock_p95_s": 3.45,
        "skald_p50_s": 0.15,
        "skald_p95_s": 0.195,
        "ratio": 20.0,
        "stock_per_s": 0.5,
        "skald_per_s": 5.0,
        "throughput_ratio": 10.0,
        "pss_ratio": 0.5,
        "requests_per_run": 12.0,
    }
    assert {name: told[name] for name in expected} == expected
    assert told["skald_failed"] == 1


def test_the_table_shows_both_sides() -> None:
    screen = Console(record=True, width=160, file=io.StringIO())
    show(screen, "sqlite", STOCK, NODE)
    text = screen.export_text()
    assert "sqlite" in text
    assert "3000 ms" in text
    assert "PATCH /flow_runs/ID" in text


@pytest.fixture
def upstream() -> Iterator[str]:
    """An API that echoes what it is sent."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/api"
        httpd.shutdown()
        thread.join()


def test_the_proxy_passes_requests_on_and_counts_them_by_kind(upstream: str) -> None:
    run = "0b0e6a54-7a6b-4d2c-9f68-1f3f3b8c2a11"
    with counting(upstream) as proxy, httpx.Client(timeout=10) as client:
        for size in (0, 3, 200_000):
            reply = client.post(f"{proxy.url}/flow_runs/{run}/set_state?x=1", content=b"a" * size)
            assert reply.content == b"a" * size
        client.post(f"{proxy.url}/logs/", content=b"{}")
        assert proxy.take() == {"POST /flow_runs/ID/set_state": 3, "POST /logs/": 1}
        assert proxy.take() == {}


def test_what_warmth_costs_is_told_with_both() -> None:
    warm = Warm(
        {
            kind: [Sample(None, None, at, at + 1) for at in (0.3, 0.1, 0.2)]
            for kind in ("light", "heavy", "imported")
        },
        300 * 2**20,
    )
    expected = {"light_p50_s": 0.2, "heavy_p50_s": 0.2, "imported_p50_s": 0.2, "node_pss_mb_20": 300.0}
    assert warm_figures(warm) == expected
    screen = Console(record=True, width=160, file=io.StringIO())
    show_warm(screen, warm)
    assert "300 MiB" in screen.export_text()
