"""Cron and interval schedules, made with ``prefect.yaml`` and with Prefect's command line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.services.fleet import Fleet, fleet
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def made(impatient_server: PrefectServer, folder: Path) -> Iterator[Fleet]:
    deployments = [
        {"name": "often", "entrypoint": "jobs.py:wait", "schedules": [{"interval": 5}]},
        {"name": "cron", "entrypoint": "jobs.py:wait"},
        {"name": "paused", "entrypoint": "jobs.py:wait", "schedules": [{"interval": 5, "active": False}]},
    ]
    with fleet(impatient_server, folder, deployments) as made:
        yield made


def completed(made: Fleet, name: str) -> int:
    return sum(run["auto_scheduled"] and run["state"]["name"] == "Completed" for run in made.runs(name))


def test_an_interval_schedule_of_prefect_yaml_fires(made: Fleet) -> None:
    until(lambda: completed(made, "wait/often") >= 2, 60, "two runs by the interval schedule")
    made.cli("deployment", "schedule", "clear", "wait/often", "--accept-yes")
    assert made.deployment("wait/often")["schedules"] == []


def test_a_cron_schedule_fires(made: Fleet) -> None:
    made.cli("deployment", "schedule", "create", "wait/cron", "--cron", "* * * * * */5", "--accept-yes")
    until(lambda: completed(made, "wait/cron") >= 2, 60, "two runs by the cron schedule")
    made.cli("deployment", "schedule", "clear", "wait/cron", "--accept-yes")


def test_a_paused_schedule_does_not(made: Fleet) -> None:
    assert made.runs("wait/paused") == []


def test_a_run_for_later_does_not_start_before(made: Fleet) -> None:
    when = datetime.now(UTC) + timedelta(seconds=4)
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": when.isoformat()}}
    found = made.reaches(made.run("wait/cron", state=state), "Completed")
    # Prefect's server counts in whole seconds.
    assert datetime.fromisoformat(found["start_time"]) > when - timedelta(seconds=1)
