"""What the server refuses of one run is dropped alone, and said in that run's log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.node.harness import Bench
from tests.services.poll import until
from tests.services.prefect_server import running_server

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """On a server that takes fewer related resources than Prefect's clients allow."""
    folder = tmp_path_factory.mktemp("strict")
    limits = {"PREFECT_SERVER_EVENTS_MAXIMUM_RELATED_RESOURCES": "60"}
    with running_server(folder / "prefect", env=limits) as server:
        bench = Bench(server, folder / "bench")
        with bench.node():
            yield bench


def test_a_refused_event_costs_no_run_a_state(strict: Bench, tmp_path: Path) -> None:
    refused, other = (strict.deploy(f"events.py:{name}") for name in ("refused_events", "three_steps"))
    run = strict.run(refused, tmp_path)
    others = [strict.run(other, tmp_path) for _ in range(3)]
    for each in (run, *others):
        strict.reaches(each, "Completed")
        until(lambda each=each: task_states(strict, each) == ["Completed"] * 3, 30, f"task runs of {each}")
    log = strict.says(run, "'test.refused'")
    assert "The maximum number of related resources is 60" in log
    until(lambda: stored(strict, "test.taken") == 1, 30, "the event after the refused one")
    assert stored(strict, "test.refused") == 0
    assert all("refused" not in strict.logs(each) for each in others)


def test_a_refused_log_record_costs_no_run_a_line(strict: Bench, tmp_path: Path) -> None:
    refused, other = strict.deploy("events.py:refused_logs"), strict.deploy("talkative")
    run, talkative = strict.run(refused, tmp_path), strict.run(other, tmp_path)
    log = strict.says(run, "refused by the Prefect server")
    assert "before" in log and "after" in log and "of a level that" not in log
    strict.says(talkative, "said by a subprocess")
    later = strict.run(other, tmp_path)
    strict.says(later, "said on stdout")
    assert "refused" not in strict.logs(talkative)


def task_states(bench: Bench, run: str) -> list[str]:
    body = {"flow_runs": {"id": {"any_": [run]}}}
    return [str(each["state_name"]) for each in bench.api("POST", "/task_runs/filter", body)]


def stored(bench: Bench, name: str) -> int:
    return int(bench.api("POST", "/events/filter", {"filter": {"event": {"name": [name]}}})["total"])
