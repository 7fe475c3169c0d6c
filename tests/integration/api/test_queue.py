"""GET /api/queue/: who waits, at a real bridge and server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.services.fleet import Fleet
from tests.services.rest import Rest

pytestmark = [pytest.mark.server]


def test_who_waits_and_why(made: Fleet, rest: Rest) -> None:
    assert rest.get("/api/queue/")["items"] == []
    made.api("PATCH", f"/work_pools/{made.pool}", {"is_paused": True})
    try:
        first = made.run("probe/probe", {"step": 1}, job_variables={"cpus": 0.5})
        second = made.run("probe/probe", {"step": 2})
        at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": at}}
        third = made.run("probe/probe", {"step": 3}, state=state)
        told = rest.get("/api/queue/?later=true")
        assert [(one["id"], one["place"]) for one in told["items"]] == [
            (first, 1),
            (second, 2),
            (third, None),
        ]
        assert (told["total"], told["later"], told["totalRequests"]) == (2, 1, 0)
        assert told["items"][0]["needs"]["cpus"] == 0.5
        assert told["items"][0]["reasons"][0] == rest.get(f"/api/tasks/{first}/why")["reasons"][0]
        assert told["items"][0]["waitsSince"] == told["items"][0]["due"]
        page = rest.get(f"/api/queue/?page=2&pageSize=1&pool={made.pool}")
        assert [one["id"] for one in page["items"]] == [second]
        assert rest.get("/api/queue/?pool=none-such")["total"] == 0
        assert rest.ask("GET", "/api/queue/?pageSize=0").status_code == 422
    finally:
        made.api("PATCH", f"/work_pools/{made.pool}", {"is_paused": False})


def test_a_request_of_dtasks_clients_waits_too(rest: Rest) -> None:
    ask = {"task_id": "film", "wait": 0.01, "queue": True, "priority": 3}
    answer = rest.ask("POST", "/api/v1/schedule", ask)
    assert answer.status_code == 202, answer.text
    (told,) = rest.get("/api/queue/")["requests"]
    assert (told["taskId"], told["priority"]) == ("film", 3) and told["reason"]
    rest.ask("POST", "/api/v1/release", {"task_id": "film"})
    assert rest.get("/api/queue/")["requests"] == []
