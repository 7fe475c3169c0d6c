"""One round of faults on everything while tasks run: a bridge, three services, a server, two nodes."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.chaos.plan import Target, plan
from tests.chaos.run import Result, chaos


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(600)
def test_nothing_is_lost_doubled_or_out_of_order(tmp_path: Path) -> None:
    seed = int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(10**6))
    tasks = int(os.environ.get("FAULT_TASKS", "30"))
    print(f"FAULT_SEED={seed} FAULT_TASKS={tasks}")
    faults = plan(seed, len(Target), seconds=2)
    result = chaos(tmp_path, seed=seed, tasks=tasks, faults=faults)
    assert result.findings.clean, _told(result)
    assert result.poison > 0
    assert result.tasks == tasks and result.began and len(result.outages) == len(faults)


def _told(result: Result) -> str:
    faults = ", ".join(outage.fault.name for outage in result.outages)
    logs = [f"{name}:\n{text[-4000:]}" for name, text in result.logs.items()]
    return "\n".join([f"seed {result.seed}: {faults}", *result.findings.sentences()[:40], *logs])
