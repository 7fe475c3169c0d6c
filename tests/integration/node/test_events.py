"""Events reach the server's database; that it took them is no proof."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.node.harness import Bench
from tests.services.counting_proxy import counting
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer, running_server

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

FLUSH = "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL"


def test_an_event_that_died_with_the_servers_memory_is_sent_again(tmp_path: Path) -> None:
    with running_server(tmp_path / "prefect", env={FLUSH: "600"}) as server:
        bench = Bench(server, tmp_path / "bench")
        with bench.node():
            run = bench.run(bench.deploy("events.py:one_event"), tmp_path)
            bench.reaches(run, "Completed")
            until(lambda: task_run_names(bench, run) == ["Completed"], 30, "all of the run's events taken")
            assert stored(bench, "test.one") == 0
            server.kill()
            server.extra_env[FLUSH] = "1"
            server.start()
            until(lambda: stored(bench, "test.one") == 1, 60, "the event in the database")
            assert "dropped" not in bench.logs(run)


def test_in_calm_times_nothing_is_asked_about_events(server: PrefectServer, tmp_path: Path) -> None:
    bench = Bench(server, tmp_path / "bench")
    deployment = bench.deploy("events.py:three_steps")
    with counting(server.url) as counts, bench.node(PREFECT_API_URL=counts.url):
        for _ in range(3):
            run = bench.run(deployment, tmp_path)
            bench.reaches(run, "Completed")
            until(lambda run=run: task_run_names(bench, run) == ["Completed"] * 3, 30, "its task runs")
        asked = counts.take()
    # The node's, and that of Prefect's worker, which says that it has started.
    assert asked["websocket /events/in"] <= 2
    assert not [kind for kind in asked if "/filter" in kind and ("event" in kind or "task_run" in kind)]
    assert not asked["POST /events"]


def task_run_names(bench: Bench, run: str) -> list[str]:
    body = {"flow_runs": {"id": {"any_": [run]}}}
    return [str(each["state_name"]) for each in bench.api("POST", "/task_runs/filter", body)]


def stored(bench: Bench, name: str) -> int:
    return int(bench.api("POST", "/events/filter", {"filter": {"event": {"name": [name]}}})["total"])
