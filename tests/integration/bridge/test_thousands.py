"""More than one answer of Prefect holds: all nodes and all tasks are seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import PrefectClient
from prefect.states import Pending, Running

from skald_bridge.adapters.prefect import PrefectEngine
from skald_work_pools.messages import claim_message
from tests.services.crowd import add_workers, copy_runs
from tests.services.prefect_server import PrefectServer
from tests.services.runs import Deployed, live, start


async def test_500_nodes(
    engine: PrefectEngine, deployed: Deployed, client: PrefectClient, server: PrefectServer
) -> None:
    pool = await client.read_work_pool(deployed.pool)
    names = {f"n-{number}" for number in range(500)}
    add_workers(server, str(pool.id), sorted(names), online=True, silent=timedelta(0))
    assert {node.id for node in await engine.nodes() if node.pool == deployed.pool} == names


async def test_1000_tasks(
    engine: PrefectEngine, deployed: Deployed, client: PrefectClient, server: PrefectServer
) -> None:
    first = await start(client, deployed)
    await live(client, first, [Pending(message=claim_message("n")), Running()])
    ours = {str(first), *copy_runs(server, str(first), 999)}
    assert ours <= {task.run for task in await engine.live_tasks()}
    changed = [
        task.run
        async for some in engine.changed_since(datetime.now(UTC) - timedelta(days=1))
        for task in some
    ]
    assert ours <= set(changed) and len(changed) == len(set(changed))
