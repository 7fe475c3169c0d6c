"""Prefect's automations act on our runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.fleet import Fleet, fleet
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def made(impatient_server: PrefectServer, folder: Path) -> Iterator[Fleet]:
    names = ("first", "next", "rescue")
    with fleet(
        impatient_server, folder, [{"name": name, "entrypoint": "jobs.py:wait"} for name in names]
    ) as made:
        yield made


def automate(made: Fleet, on: str, event: str, then: str) -> None:
    """When a run of ``on`` gives the event, run ``then``."""
    deployment: dict[str, Any] = made.deployment(on)
    made.api(
        "POST",
        "/automations/",
        {
            "name": f"{made.pool}: {event} of {on}",
            "trigger": {
                "type": "event",
                "posture": "Reactive",
                "match_related": {
                    "prefect.resource.id": f"prefect.deployment.{deployment['id']}",
                    "prefect.resource.role": "deployment",
                },
                "expect": [event],
                "threshold": 1,
                "within": 0,
            },
            "actions": [{"type": "run-deployment", "deployment_id": made.deployment(then)["id"]}],
        },
    )


def test_a_completed_run_starts_the_next(made: Fleet) -> None:
    automate(made, "wait/first", "prefect.flow-run.Completed", "wait/next")
    made.reaches(made.run("wait/first"), "Completed")
    until(
        lambda: [run["state"]["name"] for run in made.runs("wait/next")] == ["Completed"], 60, "the next run"
    )


def test_a_failed_run_starts_the_rescue(made: Fleet) -> None:
    automate(made, "wait/first", "prefect.flow-run.Failed", "wait/rescue")
    made.reaches(made.run("wait/first", {"fail_first": True}), "Failed")
    until(
        lambda: [run["state"]["name"] for run in made.runs("wait/rescue")] == ["Completed"], 60, "the rescue"
    )
