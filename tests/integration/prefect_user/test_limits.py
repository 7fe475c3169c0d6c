"""Prefect's concurrency limits of a pool, a queue and a deployment hold on our nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.fleet import Fleet, fleet
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def made(impatient_server: PrefectServer, folder: Path) -> Iterator[Fleet]:
    deployments = [
        {"name": "free", "entrypoint": "jobs.py:wait"},
        {"name": "queued", "entrypoint": "jobs.py:wait", "work_pool": {"work_queue_name": "narrow"}},
        {"name": "limited", "entrypoint": "jobs.py:wait", "concurrency_limit": 1},
        {
            "name": "unique",
            "entrypoint": "jobs.py:wait",
            "concurrency_limit": {"limit": 1, "collision_strategy": "CANCEL_NEW"},
        },
    ]
    with fleet(impatient_server, folder, deployments) as made:
        yield made


def one_at_a_time(made: Fleet, name: str, folder: Path) -> None:
    """Three runs of the deployment never overlap, and all of them end."""
    log, gate = folder / "log", folder / "gate"
    runs = [made.run(name, {"log": str(log), "until": str(gate)}) for _ in range(3)]
    until(lambda: log.exists(), 30, "the first run started")
    until(lambda: sum(made.state(run) == "Running" for run in runs) == 1, 30, "one running")
    gate.touch()
    for run in runs:
        made.reaches(run, "Completed")
    words = [line.split()[:2] for line in log.read_text().splitlines()]
    assert [what for what, _ in words] == ["start", "end"] * 3
    assert all(words[at][1] == words[at + 1][1] for at in range(0, 6, 2))


def test_a_pools_limit(made: Fleet, tmp_path: Path) -> None:
    made.cli("work-pool", "set-concurrency-limit", made.pool, "1")
    one_at_a_time(made, "wait/free", tmp_path)
    made.cli("work-pool", "clear-concurrency-limit", made.pool)


def test_a_queues_limit(made: Fleet, tmp_path: Path) -> None:
    made.cli("work-queue", "set-concurrency-limit", "narrow", "1", "--pool", made.pool)
    one_at_a_time(made, "wait/queued", tmp_path)


def test_a_deployments_limit(made: Fleet, tmp_path: Path) -> None:
    one_at_a_time(made, "wait/limited", tmp_path)


def test_a_deployments_limit_may_cancel_what_is_too_much(made: Fleet, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    first = made.run("wait/unique", {"until": str(gate)})
    made.reaches(first, "Running")
    second = made.run("wait/unique", {"until": str(gate)})
    made.reaches(second, "Cancelled")
    gate.touch()
    made.reaches(first, "Completed")


def test_a_paused_queue_holds_its_runs(made: Fleet) -> None:
    made.cli("work-queue", "pause", "narrow", "--pool", made.pool)
    held, free = made.run("wait/queued"), made.run("wait/free")
    made.reaches(free, "Completed")
    assert made.state(held) == "Scheduled"
    made.cli("work-queue", "resume", "narrow", "--pool", made.pool)
    made.reaches(held, "Completed")
