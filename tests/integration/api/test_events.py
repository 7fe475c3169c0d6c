"""Events over HTTP: as the dashboard's EventSource reads them, resumed, and at the bridge's end."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.api.test_tasks import create
from tests.services.fleet import Fleet
from tests.services.poll import until
from tests.services.rest import Rest, running_rest

pytestmark = pytest.mark.server
PATIENCE = 40.0


class Follower:
    """``last`` is the id of the newest event; it was taken before the last of ``read``."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.iter_lines()
        self.last = ""

    def read(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """All events up to the first wanted one."""
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + PATIENCE
        for line in self._lines:
            assert time.monotonic() < deadline, found
            name, _, value = line.partition(": ")
            if name == "id":
                self.last = value
            elif name == "data":
                found.append(json.loads(value))
                if wanted(found[-1]):
                    return found
        raise AssertionError(f"the stream ended: {found}")

    def marked(self) -> None:
        """Read to the end of the snapshot."""
        for line in self._lines:
            if line.startswith("id: "):
                self.last = line.removeprefix("id: ")
                return


@contextlib.contextmanager
def following(rest: Rest, path: str, last: str = "") -> Iterator[Follower]:
    headers = {**rest.headers, **({"Last-Event-ID": last} if last else {})}
    with (
        httpx.Client(base_url=rest.url, headers=headers, timeout=PATIENCE) as client,
        client.stream("GET", path) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        yield Follower(answer)


def about(task: str, **data: Any) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event.get("taskId") == task and data.items() <= event["data"].items()


def test_a_task_is_followed_to_its_end_and_after_an_interruption(rest: Rest, tmp_path: Path) -> None:
    with following(rest, "/api/events/tasks") as follower:
        follower.marked()
        task = create(rest, {"until": str(tmp_path / "stop"), "fail": True})
        seen = follower.read(about(task, lifecycleStatus="Running"))
        assert seen[-1]["type"] == "task_heartbeat"
        beat = follower.read(lambda event: about(task)(event) and event["data"]["heartbeat"] > 0)[-1]
        assert (beat["type"], beat["data"]["lifecycleStatus"]) == ("task_heartbeat", "Running")
        assert abs(beat["timestamp"] / 1000 - time.time()) < 60
        last = follower.last
    (tmp_path / "stop").touch()
    rest.reaches(task, "Failed")
    with following(rest, "/api/events/tasks", last) as again:
        missed = again.read(lambda event: event["type"] == "task_exception" and event["taskId"] == task)
    statuses = [event["data"]["lifecycleStatus"] for event in missed if event["taskId"] == task]
    assert "Created" not in statuses and statuses[-1] == "Failed"
    assert "told to fail" in missed[-1]["data"]["exception"]
    with following(rest, "/api/events/tasks", "gone-1") as fresh:
        known = fresh.read(about(task, heartbeat=-1))
    assert known[-1]["data"]["lifecycleStatus"] == "Failed"


def test_one_task_only(rest: Rest) -> None:
    mine, other = create(rest), create(rest)
    rest.reaches(other, "Finished")
    with following(rest, f"/api/events/tasks?task_id={mine}") as follower:
        events = follower.read(about(mine, lifecycleStatus="Finished"))
    assert {event["taskId"] for event in events} == {mine}


def test_skalds_are_followed_and_clients_counted(rest: Rest) -> None:
    assert rest.get("/api/events/status")["connectedClients"] == 0
    with following(rest, "/api/events/skalds?skald_id=node-1") as follower:
        seen = follower.read(lambda event: event["type"] == "skald_heartbeat")
        first = seen[-1]["data"]
        assert first["status"] == "online" and seen[0]["data"]["status"] == "online"
        later = follower.read(lambda event: event["data"].get("heartbeat") not in (None, first["heartbeat"]))
        assert {event["skaldId"] for event in seen + later} == {"node-1"}
        assert rest.get("/api/events/status")["connectedClients"] == 1
    with following(rest, "/api/events/skalds"):
        pass


def test_a_run_is_the_same_task_in_upper_case_on_every_route(made: Fleet, rest: Rest, tmp_path: Path) -> None:
    run = made.run("probe/probe", {"until": str(tmp_path / "stop")})
    upper = run.upper()
    fresh = rest.ask("GET", f"/api/tasks/{upper}")
    assert fresh.status_code == 200 and fresh.json()["id"] == run
    rest.reaches(run, "Running")
    with following(rest, f"/api/events/tasks?task_id={upper}") as follower:
        assert follower.read(about(run, lifecycleStatus="Running"))
    assert rest.get(f"/api/tasks/{upper}")["id"] == run
    until(lambda: rest.get(f"/api/tasks/{upper}/heartbeat")["isAlive"], 30, "it beats")
    for path in (f"/api/tasks/{upper}/heartbeat", f"/api/tasks/{upper}/why"):
        assert rest.get(path)["taskId"] == run
    given = {"attachments": {"until": str(tmp_path / "stop"), "step": 5}}
    assert rest.do("PUT", f"/api/tasks/{upper}/attachments", given)["data"]["taskId"] == run
    assert rest.do("POST", f"/api/tasks/{upper}/pause")["data"]["taskId"] == run
    rest.reaches(run, "Paused")
    rest.do("POST", f"/api/tasks/{upper}/resume")
    rest.reaches(run, "Running")
    rest.do("DELETE", f"/api/tasks/{upper}")
    rest.reaches(run, "Cancelled")
    rest.do("PUT", f"/api/tasks/{upper}/status", {"lifecycleStatus": "Cancelled"})
    for path in ("%2Fwhy", "%2fheartbeat", "/%2e%2e%2Fclassnames"):
        for method in ("GET", "HEAD", "PUT"):
            assert rest.ask(method, f"/api/tasks/{run}{path}").status_code == 422


def test_the_bridge_ends_though_clients_follow(made: Fleet, tmp_path: Path) -> None:
    with running_rest(made.server, tmp_path / "home") as rest, contextlib.ExitStack() as stack:
        for path in ("/api/events/tasks", "/api/events/skalds"):
            stack.enter_context(following(rest, path)).marked()
        rest.process.send_signal(signal.SIGTERM)
        assert rest.process.wait(10) == 0, rest.log()
        assert "Traceback" not in rest.log()
