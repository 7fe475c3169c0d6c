"""A node's name is a claim: one living node has it, and one that has lost it does nothing more."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from skald_work_pools.node.lock import NameTaken, NodeLock
from skald_work_pools.node.server import variables
from skald_work_pools.node.server.announcements import first_announcement
from skald_work_pools.node.server.claim_keeper import ClaimKeeper, take_name
from tests.integration.node.harness import Bench, Node, appears, gone
from tests.services.crowd import add_workers, age_variable
from tests.services.poll import auntil, until
from tests.services.prefect_server import PrefectServer

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]
QUICK = {"PREFECT_WORKER_HEARTBEAT_SECONDS": "1"}


def elsewhere(bench: Bench, name: str, tag: str, **env: str) -> Node:
    """A node of the name that shares neither folder nor lock with others of it."""
    node = Node(bench, name, (), {"SKALD_HOME": str(bench.folder / tag), **env})
    node.log = bench.folder / f"node-{name}-{tag}.log"
    return node


def up(node: Node) -> bool:
    return "started!" in node.log.read_text()


def settled(node: Node) -> bool:
    """Whether it is up, or has ended."""
    return up(node) or node.process.poll() is not None


def test_a_second_node_of_the_name_is_refused_and_the_first_ones_tasks_are_left_alone(lonely: Bench) -> None:
    marks = lonely.marks()
    with lonely.node(name="twin") as first:
        run = lonely.run(lonely.deploy("patient"), marks)
        appears(marks / "started")
        lonely.reaches(run, "Running")
        second = elsewhere(lonely, "twin", "copy")
        second.launch()
        assert second.process.wait(60) != 0
        said = second.log.read_text()
        for part in ("'twin'", socket.gethostname(), str(first.process.pid), "s ago", "--name"):
            assert part in said, said
        assert first.process.poll() is None
        assert lonely.names(run) == ["Scheduled", "Pending", "Running"]


def test_of_two_that_start_at_the_same_moment_one_gets_the_name(lonely: Bench) -> None:
    for number in range(2):
        both = [elsewhere(lonely, "same", f"{number}-{place}") for place in range(2)]
        try:
            for node in both:
                node.launch()
            for node in both:
                until(lambda node=node: settled(node), 90, "both have come up or ended")
            refused = [node for node in both if node.process.poll() is not None]
            assert len(refused) == 1 and "NameTaken" in refused[0].log.read_text()
        finally:
            for node in both:
                node.end()


def test_a_frozen_node_that_was_superseded_ends_its_tasks_and_itself(lonely: Bench) -> None:
    marks = lonely.marks()
    deployment = lonely.deploy("patient")
    with lonely.node(name="sleeper", **QUICK) as first:
        run = lonely.run(deployment, marks, empirical_policy={"retries": 1})
        pid = appears(marks / "started")
        lonely.reaches(run, "Running")
        os.kill(first.process.pid, signal.SIGSTOP)
        (marks / "started").unlink()
        second = elsewhere(lonely, "sleeper", "copy", **QUICK)
        try:

            def takes_over() -> bool:
                second.launch()
                until(lambda: settled(second), 60, "the second node has come up or ended")
                return second.process.poll() is None

            until(takes_over, 90, "the second node takes over")
            assert appears(marks / "started", 60) != pid
            lonely.reaches(run, "Running")
            os.kill(first.process.pid, signal.SIGCONT)
            assert first.process.wait(60) != 0
            gone(pid)
            assert "NameTaken" in first.log.read_text()
            expected = ["Scheduled", "Pending", "Running", "Crashed", "AwaitingRetry", "Pending", "Running"]
            assert lonely.names(run) == expected
            assert second.process.poll() is None
            later = lonely.marks()
            lonely.reaches(lonely.run(lonely.deploy("quick"), later), "Completed")
        finally:
            second.end()


@pytest.fixture
async def client(server: PrefectServer) -> AsyncIterator[PrefectClient]:
    with temporary_settings({PREFECT_API_URL: server.url}):
        async with get_client() as client:
            yield client


async def claim(client: PrefectClient, pool: str, name: str, home: Path) -> object:
    """The id of the claim, or the refusal."""
    with NodeLock(home, pool, name) as lock:
        try:
            return await take_name(client, first_announcement(name, pool, frozenset(), None), lock)
        except NameTaken as refused:
            return refused


async def test_many_at_the_same_moment_over_and_over(
    client: PrefectClient, lonely: Bench, tmp_path: Path
) -> None:
    for _ in range(10):
        name = f"n-{uuid4().hex[:6]}"
        homes = [tmp_path / f"{name}-{place}" for place in range(5)]
        found = await asyncio.gather(*(claim(client, lonely.pool, name, home) for home in homes))
        assert sum(isinstance(each, NameTaken) for each in found) == 4, found


async def test_of_many_that_find_a_stale_claim_one_gets_the_name(
    client: PrefectClient, lonely: Bench, tmp_path: Path
) -> None:
    pool = lonely.api("GET", f"/work_pools/{lonely.pool}")["id"]
    for number in range(5):
        name = f"n-{uuid4().hex[:6]}"
        stale = first_announcement(name, lonely.pool, frozenset(), None)
        await variables.create(client, stale.variable, stale.to_dict(), [])
        age_variable(lonely.server, stale.variable, timedelta(hours=1))
        # Behind the 200 that were heard of last.
        others = [f"busy-{number}-{place}" for place in range(250)]
        add_workers(lonely.server, pool, others, online=True, silent=timedelta(0))
        add_workers(lonely.server, pool, [name], online=False, silent=timedelta(hours=1), interval=1)
        homes = [tmp_path / f"{name}-{place}" for place in range(5)]
        found = await asyncio.gather(*(claim(client, lonely.pool, name, home) for home in homes))
        assert sum(isinstance(each, NameTaken) for each in found) == 4, found


async def test_a_living_holder_behind_the_newest_200_workers_keeps_its_name(
    client: PrefectClient, lonely: Bench, tmp_path: Path
) -> None:
    pool = lonely.api("GET", f"/work_pools/{lonely.pool}")["id"]
    held = first_announcement("held", lonely.pool, frozenset(), None)
    await variables.create(client, held.variable, held.to_dict(), [])
    age_variable(lonely.server, held.variable, timedelta(hours=1))
    busy = [f"busy-{place}" for place in range(500)]
    add_workers(lonely.server, pool, busy, online=True, silent=timedelta(0))
    add_workers(lonely.server, pool, ["held"], online=True, silent=timedelta(seconds=20))
    refused = await claim(client, lonely.pool, "held", tmp_path)
    assert isinstance(refused, NameTaken) and "s ago" in str(refused)


async def test_a_holder_that_is_silent_since_the_server_was_away_is_heard_first(
    client: PrefectClient, lonely: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pool = lonely.api("GET", f"/work_pools/{lonely.pool}")["id"]
    held = first_announcement("held", lonely.pool, frozenset(), None)
    await variables.create(client, held.variable, held.to_dict(), [])
    age_variable(lonely.server, held.variable, timedelta(hours=1))
    add_workers(lonely.server, pool, ["held"], online=False, silent=timedelta(minutes=10))
    asked = asyncio.create_task(claim(client, lonely.pool, "held", tmp_path))

    async def waits() -> bool:
        return "waiting: is process" in caplog.text

    await auntil(waits, 30, "it is not taken for dead at once")
    await client.send_worker_heartbeat(lonely.pool, "held", heartbeat_interval_seconds=30)
    refused = await asyncio.wait_for(asked, 30)
    assert isinstance(refused, NameTaken)


async def test_a_claim_that_somebody_removed_is_made_anew_and_one_that_is_anothers_is_lost(
    client: PrefectClient, lonely: Bench, tmp_path: Path
) -> None:
    mine = first_announcement("n", lonely.pool, frozenset(), None)
    with NodeLock(tmp_path, lonely.pool, "n") as lock:
        keeper = ClaimKeeper(client, mine, await take_name(client, mine, lock), 30)
    assert not keeper.is_doubtful
    found, _ = await variables.read(client, [mine.variable])
    await variables.remove(client, found[mine.variable].id)
    await keeper.check()
    await keeper.write(mine)

    found, _ = await variables.read(client, [mine.variable])
    await variables.remove(client, found[mine.variable].id)
    other = first_announcement("n", lonely.pool, frozenset(), None)
    await variables.create(client, mine.variable, other.to_dict(), [])
    with pytest.raises(NameTaken):
        await keeper.write(mine)
    assert keeper.reason == await keeper.lost()
    await keeper.release()
    found, _ = await variables.read(client, [mine.variable])
    assert dict(found[mine.variable].value)["life"] == other.life, "what is another's is left alone"
