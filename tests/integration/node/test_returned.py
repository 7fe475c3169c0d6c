"""A failure that is returned is retried by the process it happened in, as one that is raised."""

from __future__ import annotations

from pathlib import Path

import prefect
import pytest
from packaging.version import Version

from tests.integration.node.harness import Bench

pytestmark = [
    pytest.mark.server,
    pytest.mark.usefixtures("node"),
    pytest.mark.skipif(
        Version(prefect.__version__) < Version("3.9"),
        reason="the engine of Prefect 3.8 ends in an error where a returned failure is to be retried",
    ),
]


@pytest.mark.parametrize("flow", ["returned", "returned_async"])
def test_a_failed_state_that_a_flow_returns_is_retried(bench: Bench, marks: Path, flow: str) -> None:
    run = bench.run(bench.deploy(f"returned.py:{flow}"), marks)
    bench.reaches(run, "Completed")
    assert (marks / "attempts").read_text().split() == ["tried", "tried"]
    assert bench.names(run) == ["Scheduled", "Pending", "Running", "AwaitingRetry", "Running", "Completed"]
