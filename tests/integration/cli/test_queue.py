"""`skald queue` against a real server: order, pages, needs and reasons."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.states import Scheduled

from skald_work_pools.messages import NODE_LOGGER
from tests.integration.cli.test_quick import Cli
from tests.services.prefect_server import PrefectServer
from tests.services.runs import ATTACHMENTS, Deployed, client_of, deploy, life, live, start
from tests.services.skald_cli import SKALD

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


@pytest.fixture
def cli(server: PrefectServer, tmp_path: Path) -> Cli:
    return Cli(tmp_path, server.url)


@pytest.fixture
async def client(server: PrefectServer) -> AsyncIterator[PrefectClient]:
    async with client_of(server.url) as client:
        yield client


@pytest.fixture
async def deployed(client: PrefectClient) -> Deployed:
    return await deploy(client)


async def scheduled(client: PrefectClient, deployed: Deployed, at: datetime, **more: Any) -> str:
    run = await client.create_flow_run_from_deployment(
        deployed.deployment,
        parameters={"attachments": ATTACHMENTS},
        state=Scheduled(scheduled_time=at),
        **more,
    )
    return str(run.id)


async def test_the_line_is_in_the_order_of_nodes_and_read_in_pages(
    cli: Cli, client: PrefectClient, deployed: Deployed
) -> None:
    now = datetime.now(UTC)
    await client.request(
        "POST", f"/work_pools/{deployed.pool}/queues", json={"name": "urgent", "priority": 1}
    )
    second, first = [await scheduled(client, deployed, now - timedelta(minutes=age)) for age in (1, 2)]
    urgent = await scheduled(client, deployed, now, work_queue_name="urgent", job_variables={"gpus": 2})
    later = await scheduled(client, deployed, now + timedelta(hours=1))
    at_work = await start(client, deployed)
    await live(client, at_work, life("n1")[:2])

    whole = cli.quick("queue", "--pool", deployed.pool)
    assert [(one["id"], one["place"]) for one in whole["tasks"]] == [(urgent, 1), (first, 2), (second, 3)]
    assert (whole["total"], whole["later"]) == (3, 1)
    assert whole["tasks"][0]["needs"] == {"gpus": 2} and whole["tasks"][0]["queue"] == "urgent"
    assert f"No node of the pool {deployed.pool} is online" in whole["tasks"][0]["reasons"][0]

    paged = [
        cli.quick("queue", "-p", deployed.pool, "-n", "1", "--offset", str(number)) for number in range(4)
    ]
    assert [[one["id"] for one in page["tasks"]] for page in paged] == [[urgent], [first], [second], []]
    tail = cli.quick("queue", "-p", deployed.pool, "-n", "2", "--offset", "2", "--all")["tasks"]
    assert [(one["id"], one["place"], one["waitsSince"] is None) for one in tail] == [
        (second, 3, False),
        (later, None, True),
    ]

    everywhere = cli.quick("queue", "-n", "1000")["tasks"]
    assert [one["id"] for one in everywhere if one["pool"] == deployed.pool] == [urgent, first, second]

    # Prefect's own answer to a worker, which has no places for more than the limits let start.
    answer = await client.request(
        "POST", f"/work_pools/{deployed.pool}/get_scheduled_flow_runs", json={"limit": 50}
    )
    assert [each["flow_run"]["id"] for each in answer.json()][:3] == [urgent, first, second]


async def test_reasons_are_those_of_why_limits_and_what_nodes_said_among_them(
    cli: Cli, client: PrefectClient, deployed: Deployed
) -> None:
    run = str(await start(client, deployed))
    busy = await start(client, deployed)
    await live(client, busy, life("n1")[:2])
    await client.request("PATCH", f"/work_pools/{deployed.pool}", json={"concurrency_limit": 1})
    said = f"node n-{uuid4().hex[:4]}: needs 4 cpus, 1 free"
    log = {"name": NODE_LOGGER, "level": 20, "message": said, "timestamp": datetime.now(UTC).isoformat()}
    await client.request("POST", "/logs/", json=[{**log, "flow_run_id": run}])
    (one,) = cli.quick("queue", "--pool", deployed.pool)["tasks"]
    assert one["id"] == run
    assert one["reasons"] == [*cli.quick("why", run)["reasons"], said]
    assert "has a concurrency limit of 1, and 1 tasks hold it" in one["reasons"][0]
    await client.request("PATCH", f"/work_pools/{deployed.pool}", json={"is_paused": True})
    assert "is paused" in cli.quick("queue", "--pool", deployed.pool)["tasks"][0]["reasons"][0]


async def test_watching_prints_an_object_a_line_when_something_changes(
    cli: Cli, client: PrefectClient, deployed: Deployed
) -> None:
    process = subprocess.Popen(
        [*SKALD, "queue", "--pool", deployed.pool, "--watch", "--json", "--all"],
        env=cli.environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert json.loads(process.stdout.readline()) == {"total": 0, "later": 0, "tasks": []}
        later = await scheduled(client, deployed, datetime.now(UTC) + timedelta(hours=1))
        assert [one["id"] for one in json.loads(process.stdout.readline())["tasks"]] == [later]
        run = str(await start(client, deployed))
        # The seconds until the later one's start pass, and are no news.
        assert [one["id"] for one in json.loads(process.stdout.readline())["tasks"]] == [run, later]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def test_an_empty_line_says_so(cli: Cli, deployed: Deployed) -> None:
    ran = cli("queue", "--pool", deployed.pool)
    assert (ran.code, ran.out, ran.imported) == (0, "Nobody waits.\n", False)
