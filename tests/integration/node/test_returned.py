"""A failure that is returned is retried, by the process itself or by another: Prefect's versions differ in that."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.node.harness import Bench

pytestmark = [pytest.mark.server, pytest.mark.oldest, pytest.mark.usefixtures("node")]


@pytest.mark.parametrize("flow", ["returned", "returned_async"])
def test_a_failed_state_that_a_flow_returns_is_retried(bench: Bench, marks: Path, flow: str) -> None:
    run = bench.run(bench.deploy(f"returned.py:{flow}"), marks)
    bench.reaches(run, "Completed")
    assert (marks / "attempts").read_text().split() == ["tried", "tried"]
    others = [name for name in bench.names(run) if name != "Pending"]
    assert others == ["Scheduled", "Running", "AwaitingRetry", "Running", "Completed"]
