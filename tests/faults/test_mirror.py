"""Every state of every run is journaled once and in order, whatever is killed in between."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from pathlib import Path

import pytest

from skald_bridge.adapters.prefect import PrefectEngine
from tests.faults.mirror import Result, run, settled
from tests.services.bridge_process import BridgeProcess
from tests.services.fleet import fleet
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer
from tests.services.runs import talking_to

PROBE = Path(__file__).parents[1] / "integration" / "bridge" / "project" / "probe.py"


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(600)
def test_bridge_and_server_killed_during_short_tasks(tmp_path: Path) -> None:
    seed = int(os.environ.get("FAULT_SEED", random.SystemRandom().randrange(10**6)))
    tasks, kills = int(os.environ.get("FAULT_TASKS", "200")), int(os.environ.get("FAULT_KILLS", "6"))
    print(f"FAULT_SEED={seed} FAULT_TASKS={tasks} FAULT_KILLS={kills}")
    result = run(tmp_path, tasks=tasks, kills=kills, seed=seed)
    assert result.good, f"{result}\n{(tmp_path / 'journal.log').read_text()[-8000:]}"
    assert result.tasks == tasks


async def created(url: str, count: int) -> list[str]:
    """By Prefect's client, which tries again where a busy SQLite server answers 503."""
    with talking_to(url):
        async with PrefectEngine() as engine:
            return [
                (await engine.create("probe", {"fail": n % 4 == 0}, idempotency_key=f"probe-{n}")).id
                for n in range(count)
            ]


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(600)
def test_bridge_and_server_killed_while_a_node_works(own_server: PrefectServer, tmp_path: Path) -> None:
    shutil.copy(PROBE, tmp_path / "probe.py")
    bridge = BridgeProcess(tmp_path / "journal.db", own_server.client_env)
    with fleet(own_server, tmp_path, [{"name": "probe", "entrypoint": "probe.py:probe"}]) as made:
        bridge.start()
        try:
            runs = asyncio.run(created(own_server.url, 6))
            bridge.kill()
            bridge.start()
            until(lambda: any(made.state(run) == "Completed" for run in runs), 90, "a task completed")
            own_server.kill()
            own_server.start()
            bridge.kill()
            bridge.start()
            for run_id in runs:
                made.reaches(run_id, "Completed", "Failed", seconds=120)
            result = settled(own_server.url, bridge.journal, Result(seed=0), 60)
        finally:
            bridge.kill()
    assert result.good, f"{result}\n{bridge.log()[-8000:]}"
    assert result.tasks == len(runs)
