"""dtask's workers and clients on a real bridge: real processes, real sockets, kills."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.services.leashed import leashed
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer
from tests.services.rest import Rest, running_rest
from tests.unit.wire import dtask_cases as cases

pytestmark = pytest.mark.server
KEY = "a-long-random-text-0123456789"
CALLERS = 64
HEARTBEAT, SCHEDULE = "/api/v1/heartbeat", "/api/v1/schedule"

WORKER = """
import json, sys, time, urllib.request
url, said = sys.argv[1], json.loads(sys.argv[2])
while True:
    said["timestamp"] = int(time.time())
    body = json.dumps(said).encode()
    with urllib.request.urlopen(urllib.request.Request(url + "/api/v1/heartbeat", body), timeout=5) as answer:
        assert answer.read() == b'{"status":"ok"}\\n'
    time.sleep(0.5)
"""


@pytest.fixture(scope="module")
def bridge(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    with running_rest(server, tmp_path_factory.mktemp("dtask")) as rest:
        yield rest


@contextmanager
def worker(rest: Rest, name: str, **said: Any) -> Iterator[subprocess.Popen[bytes]]:
    """One that reports twice a second, as a process; it is in the list when entered."""
    told = {"worker_id": name, "address": f"{name}:9000", "max_tasks": 1, "current_tasks": 0, **said}
    process = subprocess.Popen(leashed([sys.executable, "-c", WORKER, rest.url, json.dumps(told)]))
    try:
        until(lambda: status(rest, name) == "online", 30, f"{name} is listed")
        yield process
    finally:
        process.kill()
        process.wait()


def status(rest: Rest, name: str) -> str | None:
    return next((each["Status"] for each in rest.get("/api/v1/workers") if each["WorkerID"] == name), None)


def schedule(rest: Rest, task: str, *tags: str, **more: Any) -> httpx.Response:
    return rest.ask("POST", SCHEDULE, {"task_id": task, "required_tags": tags, **more})


def raw(rest: Rest, *parts: bytes, pause: Callable[[], None] = lambda: None) -> bytes:
    """Everything that is answered to bytes sent in these parts, until the bridge closes or is silent."""
    where = urlsplit(rest.url)
    with socket.create_connection((where.hostname or "", where.port or 0), 10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            client.sendall(part)
            pause()
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while data := client.recv(65536):
            answer += data
        return answer


def post(path: str, body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST %s HTTP/1.1" % path.encode(), b"Host: 127.0.0.1", b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, *headers, b"", body])


def parted(answer: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    return int(first.split()[1]), headers, body


def test_the_recorded_cases_by_both_ways(bridge: Rest) -> None:
    """``Connection: close`` is answered by the long way, its absence by the short one."""
    assert parted(raw(bridge, post(HEARTBEAT, cases.WORKER)))[2] == b'{"status":"ok"}\n'
    refused = [(path, body) for body in cases.REFUSED.values() for path in (HEARTBEAT, SCHEDULE)]
    refused += [(HEARTBEAT, body) for body in cases.BAD_HEARTBEATS.values()]
    refused += [(SCHEDULE, body) for body in cases.BAD_SCHEDULES.values()]
    wanted = [(path, body, 400, cases.MALFORMED, cases.TEXT) for path, body in refused]
    wanted += [
        (SCHEDULE, body, status, answer, cases.JSON) for body, status, answer in cases.GOOD_SCHEDULES.values()
    ]
    for path, body, status_, answer, kind in wanted:
        for more in ((), (b"Connection: close",)):
            got, headers, rest = parted(raw(bridge, post(path, body, *more)))
            assert (got, rest, headers[b"content-type"].decode()) == (status_, answer, kind), body
            assert (headers.get(b"x-content-type-options") == b"nosniff") is (kind == cases.TEXT)
            assert headers[b"content-length"] == str(len(answer)).encode() and b"date" in headers
    for method in cases.METHODS:
        got, headers, rest = parted(raw(bridge, post(HEARTBEAT, b"{}").replace(b"POST", method.encode(), 1)))
        assert (got, rest) == (405, b"" if method == "HEAD" else cases.NO_SUCH_METHOD)
    assert bridge.ask("HEAD", "/api/v1/workers").status_code == 405
    assert bridge.ask("GET", "/api/v1/nope").status_code == 404


def test_requests_in_pieces_and_one_after_another(bridge: Rest) -> None:
    body = b'{"task_id":""}'
    data = post(SCHEDULE, body)
    for cut in (1, 20, len(data) - len(body), len(data) - 1):
        assert parted(raw(bridge, data[:cut], data[cut:], pause=lambda: time.sleep(0.01)))[0] == 503, cut
    # Later than the short way waits for the rest.
    late = raw(bridge, data[:-3], data[-3:], pause=lambda: time.sleep(0.2))
    assert parted(late)[0] == 503
    both = raw(bridge, data + post("/api/v1/nope", b"") + data)
    assert [both.count(b"HTTP/1.1 %d" % code) for code in (503, 404)] == [2, 1]
    turns = raw(bridge, data, post("/api/v1/nope", b""), data, pause=lambda: time.sleep(0.05))
    assert [turns.count(b"HTTP/1.1 %d" % code) for code in (503, 404)] == [2, 1]
    chunked = data.replace(b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked")[: -len(body)]
    assert parted(raw(bridge, chunked + b"e\r\n" + body + b"\r\n0\r\n\r\n"))[0] == 503


def test_one_free_slot_and_many_callers(bridge: Rest) -> None:
    with worker(bridge, "single", resource_tags=["single"]):
        ready = threading.Barrier(CALLERS)

        def call(number: int) -> int:
            with httpx.Client() as client:
                ready.wait()
                asked = {"task_id": f"race-{number}", "required_tags": ["single"]}
                return client.post(f"{bridge.url}{SCHEDULE}", json=asked, timeout=60).status_code

        with ThreadPoolExecutor(CALLERS) as pool:
            assert Counter(pool.map(call, range(CALLERS))) == {200: 1, 503: CALLERS - 1}
        before = last_heartbeat(bridge, "single")
        until(lambda: last_heartbeat(bridge, "single") != before, 10, "another heartbeat")
        assert schedule(bridge, "after a heartbeat", "single").status_code == 503
        winner = next(
            f"race-{n}" for n in range(CALLERS) if schedule(bridge, f"race-{n}", "single").is_success
        )
        assert bridge.ask("POST", "/api/v1/release", {"task_id": winner}).json()["status"] == "released"
        assert schedule(bridge, "next", "single").json() == {"worker_id": "single", "address": "single:9000"}


def last_heartbeat(rest: Rest, name: str) -> str:
    return next(each["LastHeartbeat"] for each in rest.get("/api/v1/workers") if each["WorkerID"] == name)


def test_a_lease_ends(bridge: Rest) -> None:
    with worker(bridge, "leased", resource_tags=["leased"]):
        told = schedule(bridge, "short", "leased", lease=1).json()
        assert told["worker_id"] == "leased" and told["lease_expires"]
        assert schedule(bridge, "other", "leased").status_code == 503
        until(lambda: schedule(bridge, "other", "leased").is_success, 20, "the lease has ended")


def test_waiting(bridge: Rest) -> None:
    with worker(bridge, "busy", resource_tags=["busy"]), ThreadPoolExecutor(3) as pool:
        assert schedule(bridge, "first", "busy").is_success
        answer = schedule(bridge, "low", "busy", wait=0.1)
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")
        low = pool.submit(schedule, bridge, "low", "busy", wait=30)
        high = pool.submit(schedule, bridge, "high", "busy", wait=30, priority=5)
        until(lambda: position(bridge, "last") == 3, 20, "two wait")
        assert bridge.ask("POST", "/api/v1/release", {"task_id": "first"}).is_success
        assert high.result(20).json() == {"worker_id": "busy", "address": "busy:9000", "queued": True}
        assert not low.done()
        assert bridge.ask("POST", "/api/v1/release", {"task_id": "high"}).is_success
        assert low.result(20).json()["queued"] is True
        timed = schedule(bridge, "dtask's own", "busy", max_wait_ms=50)
        assert (timed.status_code, timed.content) == (
            503, b'{"error":"timed out waiting for an available worker"}\n'
        )  # fmt: skip


def position(rest: Rest, task: str) -> int:
    return schedule(rest, task, "busy", wait=0.01).json()["position"]


@pytest.mark.slow
def test_a_killed_worker(bridge: Rest) -> None:
    with worker(bridge, "killed", resource_tags=["killed"], max_tasks=50) as process:
        assert schedule(bridge, "before", "killed").is_success
        process.send_signal(signal.SIGKILL)
        until(lambda: status(bridge, "killed") == "suspicious", 15, "it is suspicious")
        assert schedule(bridge, "meanwhile", "killed").status_code == 503
        until(lambda: status(bridge, "killed") == "offline", 15, "it is offline")
    with worker(bridge, "killed", resource_tags=["killed"], max_tasks=50):
        assert schedule(bridge, "again", "killed").is_success
    assert bridge.ask("POST", HEARTBEAT, {"worker_id": "killed", "leaving": True}).is_success
    assert status(bridge, "killed") is None


def test_grants_outlive_the_bridge(server: PrefectServer, tmp_path: Path) -> None:
    said = {"worker_id": "w", "address": "w:1", "max_tasks": 2}
    with running_rest(server, tmp_path) as first:
        assert first.ask("POST", HEARTBEAT, said).is_success
        assert schedule(first, "a", lease=600).is_success
        first.process.kill()
        first.process.wait()
    with running_rest(server, tmp_path) as second:
        assert schedule(second, "a").json() == {"worker_id": "w", "address": "w:1"}
        assert second.ask("POST", HEARTBEAT, said).is_success
        assert [schedule(second, task).status_code for task in ("b", "c")] == [200, 503]
        assert schedule(second, "a").is_success


def test_ids_do_not_forge_log_lines(bridge: Rest) -> None:
    forged = "x\n2026-01-01 00:00:00 ERROR forged\x1b[31m\u2028"
    assert bridge.ask("POST", HEARTBEAT, {"worker_id": forged}).is_success
    assert bridge.ask("POST", HEARTBEAT, {"worker_id": forged, "leaving": True}).is_success
    shown = r"x\n2026-01-01 00:00:00 ERROR forged\x1b[31m\u2028"
    until(lambda: shown in bridge.log(), 20, "the bridge tells of it")
    log = bridge.log()
    assert not any(line.startswith("2026-01-01 00:00:00 ERROR forged") for line in log.splitlines())


def test_metrics(bridge: Rest) -> None:
    assert schedule(bridge, "counted", "no such tag").status_code == 503
    text = bridge.ask("GET", "/metrics").text
    assert 'skald_fleet_workers{status="online"}' in text and "skald_fleet_waiting" in text
    assert f'skald_http_requests_total{{method="POST",route="{SCHEDULE}",status="503"}}' in text


def test_keys_strangers_and_none_of_it(server: PrefectServer, tmp_path: Path) -> None:
    with ExitStack() as stack:
        keyed = stack.enter_context(running_rest(server, tmp_path / "keyed", key=KEY))
        assert httpx.post(f"{keyed.url}{HEARTBEAT}", content=b"{}").status_code == 401
        by_login = keyed.url.replace("http://", f"http://worker:{KEY}@")
        assert (
            httpx.post(f"{by_login}{HEARTBEAT}", content=b'{"worker_id":"w"}').content == b'{"status":"ok"}\n'
        )
        assert [each["WorkerID"] for each in keyed.get("/api/v1/workers")] == ["w"]
        without = stack.enter_context(running_rest(server, tmp_path / "off", env={"SKALD_DTASK": "false"}))
        assert without.ask("POST", HEARTBEAT, {"worker_id": "w"}).status_code == 404
        foreign = {"Origin": "https://evil.example"}
        assert without.ask("GET", "/api/v1/workers", headers=foreign).status_code == 404
