"""The routes of tasks over a real server, a real node and the bridge's own process."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.services.fleet import Fleet
from tests.services.poll import until
from tests.services.rest import ENDED, Rest

pytestmark = pytest.mark.server
FIELDS = {
    "id", "className", "lifecycleStatus", "executor", "createDateTime", "updateDateTime",
    "mode", "attachments", "heartbeat", "error", "exception", "priority",
}  # fmt: skip


def create(rest: Rest, attachments: dict[str, Any] | None = None, **more: Any) -> str:
    done = rest.do("POST", "/api/tasks/", {"className": "probe", "attachments": attachments or {}, **more})
    assert done["data"]["status"] == "Created"
    return str(done["data"]["taskId"])


def listed(rest: Rest, query: str) -> list[str]:
    return [task["id"] for task in rest.get(f"/api/tasks/?{query}")["items"]]


def test_a_task_is_created_runs_and_is_listed(rest: Rest) -> None:
    own = f"order 7 {uuid4().hex[:6]} (ü)"
    task = create(rest, {"step": 3}, id=own, priority=4, name="seven", source="shop")
    assert task == own
    assert create(rest, {"step": 3}, id=own) == own
    found = rest.reaches(task, *ENDED)
    assert found.keys() == FIELDS
    assert (found["lifecycleStatus"], found["heartbeat"], found["priority"]) == ("Finished", 200, 4)
    assert found["executor"] == "node-1" and found["mode"] == "Passive"
    assert found["attachments"]["step"] == 3
    assert 10**12 < found["createDateTime"] <= found["updateDateTime"] < 10**13
    page = rest.get("/api/tasks/?page=1&pageSize=1")
    # Its result is told a little after its end.
    assert [each["id"] for each in page["items"]] == [own] and page["items"][0].keys() == FIELDS
    assert (page["page"], page["pageSize"]) == (1, 1)
    assert page["total"] >= 1
    assert own in listed(rest, "lifecycleStatus=Finished&className=PROB&executor=node-1&id=ORDER 7")
    assert listed(rest, "id=.*") == []
    assert listed(rest, "executor=node") == []
    assert "probe" in rest.get("/api/tasks/classnames")


def test_a_fresh_task_is_there_before_the_archive_has_it(rest: Rest) -> None:
    for _ in range(5):
        found = rest.get(f"/api/tasks/{create(rest)}")
        assert found["className"] == "probe"


def test_pages_hold_every_task_once(rest: Rest) -> None:
    tasks = {create(rest, id=f"page-{number}-{uuid4().hex[:6]}") for number in range(7)}
    until(lambda: tasks <= set(listed(rest, "pageSize=100")), 30, "all listed")
    for task in tasks:
        rest.reaches(task, *ENDED)
    seen = [task for page in (1, 2, 3) for task in listed(rest, f"id=page-&pageSize=3&page={page}")]
    assert sorted(seen) == sorted(tasks)
    assert rest.get("/api/tasks/?id=page-&pageSize=3&page=9") == {
        "items": [],
        "total": 7,
        "page": 9,
        "pageSize": 3,
    }


def test_it_beats_is_updated_paused_resumed_and_cancelled(rest: Rest, tmp_path: Path) -> None:
    task = create(rest, {"until": str(tmp_path / "never")})
    try:
        beats_is_updated_paused_resumed_and_cancelled(rest, task, tmp_path)
    finally:
        rest.ask("DELETE", f"/api/tasks/{task}")  # what is left of a failure is not the next test's


def beats_is_updated_paused_resumed_and_cancelled(rest: Rest, task: str, tmp_path: Path) -> None:
    rest.reaches(task, "Running")
    beats: set[int] = set()

    def beating() -> bool:
        found = rest.get(f"/api/tasks/{task}/heartbeat")
        beats.add(found["heartbeat"])
        return len(beats) >= 3 and bool(found["isAlive"])

    until(beating, 40, "three different heartbeats")
    until(lambda: task in rest.get("/api/skalds/node-1")["currentTasks"], 30, "the node shows it")
    node = rest.get("/api/skalds/node-1")
    assert node["status"] == "online" and task in node["currentTasks"] and "probe" in node["supportedTasks"]

    changed = {"until": str(tmp_path / "never"), "step": 5}
    done = rest.do("PUT", f"/api/tasks/{task}/attachments", {"attachments": changed})["data"]
    assert (done["taskId"], done["attachments"], done["outcome"]) == (task, changed, "applied")
    until(lambda: rest.get(f"/api/tasks/{task}")["attachments"]["step"] == 5, 20, "the archive has them")
    refused = rest.ask("PUT", f"/api/tasks/{task}/attachments", {"attachments": {**changed, "step": 0}})
    assert refused.status_code == 422 and "step" in refused.json()["error"], refused.text
    assert rest.get(f"/api/tasks/{task}")["attachments"]["step"] == 5

    rest.do("POST", f"/api/tasks/{task}/pause")
    rest.reaches(task, "Paused")
    assert "paused" in " ".join(rest.get(f"/api/tasks/{task}/why")["reasons"])
    rest.do("POST", f"/api/tasks/{task}/resume")
    rest.reaches(task, "Running")
    done = rest.do("PUT", f"/api/tasks/{task}/status", {"lifecycleStatus": "Cancelled"})
    assert done["data"] == {"taskId": task, "status": "Cancelled"}
    assert rest.reaches(task, *ENDED)["heartbeat"] == -2
    assert rest.do("DELETE", f"/api/tasks/{task}")["data"]["status"] == "Cancelled"
    stopped = rest.ask("POST", f"/api/tasks/{task}/pause")
    assert stopped.status_code == 409 and stopped.json()["remedy"], stopped.text


def test_a_failed_task_says_why_and_runs_once_more(rest: Rest) -> None:
    task = create(rest, {"fail": True})
    found = rest.reaches(task, *ENDED)
    assert (found["lifecycleStatus"], found["heartbeat"]) == ("Failed", -1)
    assert "told to fail" in found["exception"]
    why = rest.get(f"/api/tasks/{task}/why")
    assert why["lifecycleStatus"] == "Failed" and "told to fail" in why["reasons"][0]
    assert rest.do("PUT", f"/api/tasks/{task}/status", {"lifecycleStatus": "Created"})["data"] == {
        "taskId": task,
        "status": "Created",
    }
    before = found["updateDateTime"]
    until(lambda: rest.get(f"/api/tasks/{task}")["updateDateTime"] > before, 30, "it moves on")
    rest.reaches(task, *ENDED)
    rest.do("POST", f"/api/tasks/{task}/retry")
    rest.reaches(task, *ENDED)


def test_a_running_task_is_not_retried(rest: Rest, tmp_path: Path) -> None:
    task = create(rest, {"until": str(tmp_path / "stop")})
    rest.reaches(task, "Running")
    refused = rest.ask("PUT", f"/api/tasks/{task}/status", {"lifecycleStatus": "Created"})
    assert refused.status_code == 409 and "ended" in refused.json()["error"], refused.text
    (tmp_path / "stop").touch()
    assert rest.reaches(task, *ENDED)["lifecycleStatus"] == "Finished"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "word"),
    [
        ("POST", "/api/tasks/", {"className": "no-such"}, 404, "no-such"),
        ("POST", "/api/tasks/", {"className": "probe", "attachments": {"stp": 1}}, 422, "step"),
        ("POST", "/api/tasks/", {"className": "probe", "attachments": {"step": "x"}}, 422, "step"),
        ("POST", "/api/tasks/", {"className": "probe", "priority": 11}, 422, "priority"),
        ("POST", "/api/tasks/", {"className": "probe", "priority": "3"}, 422, "priority"),
        ("POST", "/api/tasks/", {"className": ""}, 422, "className"),
        ("POST", "/api/tasks/", {}, 422, "className"),
        ("POST", "/api/tasks/", [1], 422, "body"),
        ("GET", "/api/tasks/none", None, 404, "none"),
        ("GET", "/api/tasks/none/why", None, 404, "none"),
        ("GET", "/api/tasks/none/heartbeat", None, 404, "none"),
        ("DELETE", "/api/tasks/none", None, 404, "none"),
        ("PUT", "/api/tasks/none/status", {"lifecycleStatus": "Cancelled"}, 404, "none"),
        ("PUT", "/api/tasks/none/status", {"lifecycleStatus": "Finished"}, 422, "lifecycleStatus"),
        ("PUT", "/api/tasks/none/attachments", {"attachments": {"step": 1}}, 404, "none"),
        ("PUT", "/api/tasks/none/attachments", {"attachments": [1]}, 422, "attachments"),
        ("GET", "/api/tasks/?page=0", None, 422, "page"),
        ("GET", "/api/tasks/?pageSize=101", None, 422, "pageSize"),
        ("GET", "/api/tasks/?lifecycleStatus=Going", None, 422, "lifecycleStatus"),
        ("GET", "/api/skalds/none", None, 404, "none"),
        ("POST", "/api/skalds/none/ping", None, 404, "none"),
        ("GET", "/api/skalds/?type=other", None, 422, "type"),
        ("GET", "/api/no/such/route", None, 404, "Not Found"),
        ("PATCH", "/api/tasks/none", None, 405, "Not Allowed"),
    ],
)
def test_errors_name_the_field_and_a_remedy(
    rest: Rest, method: str, path: str, body: Any, status: int, word: str
) -> None:
    answer = rest.ask(method, path, body)
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert told.keys() == {"error", "remedy", "status"} and told["status"] == status
    assert word in told["error"] and told["remedy"]


def test_skalds_and_sums(rest: Rest, made: Fleet) -> None:
    until(lambda: rest.get("/api/skalds/")["total"], 30, "a Skald")
    found = rest.get("/api/skalds/?type=node&status=online")
    assert [skald["id"] for skald in found["items"]] == ["node-1"] and found["total"] == 1
    assert set(found["items"][0]) == {
        "id", "type", "status", "lastHeartbeat", "supportedTasks", "currentTasks", "heartbeat", "taskCount",
    }  # fmt: skip
    assert rest.get("/api/skalds/?type=edge") == {"items": [], "total": 0}
    first = rest.get("/api/skalds/node-1/heartbeat")
    assert first["isOnline"] and first["heartbeatAge"] >= 0
    until(
        lambda: rest.get("/api/skalds/node-1/heartbeat")["heartbeat"] != first["heartbeat"],
        20,
        "its next beat",
    )
    status = rest.get("/api/skalds/node-1/status")
    assert status["details"]["canAcceptTasks"] and status["uptime"] >= 0
    until(lambda: rest.get("/api/skalds/node-1/tasks")["totalTasks"] == 0, 30, "the node has nothing to do")
    assert rest.get("/api/skalds/node-1/tasks") == {"skaldId": "node-1", "tasks": [], "totalTasks": 0}
    ping = rest.do("POST", "/api/skalds/node-1/ping")["data"]
    assert (ping["skaldId"], ping["online"]) == ("node-1", True)
    sums = rest.get("/api/skalds/summary/statistics")
    assert (sums["totalSkalds"], sums["onlineSkalds"], sums["availableNodes"]) == (1, 1, 1)
    summary = rest.get("/api/system/dashboard/summary")
    assert summary["totalTasks"] == rest.get("/api/tasks/")["total"]
    assert summary["finishedTasks"] == rest.get("/api/tasks/?lifecycleStatus=Finished")["total"] > 0
    assert rest.get("/api/system/metrics")["tasks"]["total"] == summary["totalTasks"]
    health = rest.get("/api/system/health")
    assert health["status"] == "healthy" and health["services"]["sweep"] == "healthy"
    status = rest.get("/api/system/status")
    assert status["mode"] == "DISPATCHER" and {each["name"] for each in status["components"]} >= {"mirror"}
    assert rest.get("/api/events/status")["status"] == "active"


def test_routes_without_their_slash_lead_to_it(rest: Rest) -> None:
    for path in ("/api/tasks", "/api/skalds"):
        answer = rest.ask("GET", path, follow_redirects=True)
        assert answer.status_code == 200 and "items" in answer.json()
