"""A pool with 500 workers and 1,000 claimed runs, written into the server's database."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import WorkPool
from prefect.settings import PREFECT_API_URL, temporary_settings

from skald_work_pools.messages import NODE_LABEL, claim_message
from skald_work_pools.node.reconcile.pool_lead import LEAD_FOR, lead_variable
from skald_work_pools.node.reconcile.pool_watch import PoolWatch
from skald_work_pools.node.server import variables
from skald_work_pools.node.server.announcements import first_announcement
from skald_work_pools.node.server.claim_keeper import TAG, ClaimKeeper
from skald_work_pools.node.server.run_api import RunApi
from skald_work_pools.pages import workers_of
from tests.integration.node.harness import Bench
from tests.services.counting_proxy import CountingProxy, counting
from tests.services.crowd import add_workers, age_variable, copy_runs, opened
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer

pytestmark = [pytest.mark.server, pytest.mark.timeout(280)]


def claimed(bench: Bench, node: str, *states: dict[str, Any]) -> str:
    """A run that the node claimed and that has had these states since."""
    message = claim_message(node)
    run = bench.run(bench.deploy("quick"), bench.marks(), state={"type": "PENDING", "message": message})
    for state in states:
        bench.propose(run, force=True, **state)
    return run


def pool_id(bench: Bench) -> str:
    return str(bench.api("GET", f"/work_pools/{bench.pool}")["id"])


def crowd(bench: Bench) -> None:
    """500 nodes that live, and 1,000 claimed runs of one of them."""
    names = [f"alive-{number}" for number in range(500)]
    # In an hour: no heartbeat keeps these workers alive for the server.
    add_workers(bench.server, pool_id(bench), names, online=True, silent=timedelta(hours=-1))
    run = claimed(bench, "alive-499", {"type": "RUNNING"})
    copy_runs(bench.server, run, 999, {NODE_LABEL: "alive-499"})


def in_state(bench: Bench, runs: list[str], name: str) -> bool:
    marks = ", ".join("?" * len(runs))
    with opened(bench.server) as database:
        sql = f"SELECT count(*) FROM flow_run WHERE state_name = ? AND id IN ({marks})"
        return bool(database.execute(sql, [name, *runs]).fetchone()[0] == len(runs))


def test_what_dead_nodes_left_is_found_behind_500_workers_and_1000_runs(lonely: Bench) -> None:
    running = claimed(lonely, "gone", {"type": "RUNNING"})
    cancelling = claimed(lonely, "gone", {"type": "RUNNING"}, {"type": "CANCELLING"})
    left = [running, *copy_runs(lonely.server, running, 20, {NODE_LABEL: "gone"})]
    stuck = [cancelling, *copy_runs(lonely.server, cancelling, 250, {NODE_LABEL: "gone"})]
    crowd(lonely)
    heard = claimed(lonely, "alive-3", {"type": "RUNNING"}, {"type": "CANCELLING"})
    add_workers(lonely.server, pool_id(lonely), ["gone"], online=False, silent=timedelta(days=1))
    with lonely.node():
        until(lambda: in_state(lonely, stuck, "Cancelled"), 60, "the cancelled runs of the dead node end")
        until(lambda: in_state(lonely, left, "Crashed"), 150, "its other runs end")
    assert lonely.read(heard)["state"]["name"] == "Cancelling", "it is its living node's"
    states = {"state": {"type": {"any_": ["RUNNING"]}}}
    body = {"flow_runs": states, "work_pools": {"name": {"any_": [lonely.pool]}}}
    assert lonely.api("POST", "/flow_runs/count", body) == 1000


@pytest.mark.slow
def test_of_idle_nodes_one_looks_at_the_pool_and_none_asks_for_each_run(lonely: Bench) -> None:
    crowd(lonely)
    with contextlib.ExitStack() as stack:
        proxies = [stack.enter_context(counting(lonely.server.url)) for _ in range(2)]
        for number, proxy in enumerate(proxies):
            home = str(lonely.folder / f"home-{number}")
            stack.enter_context(lonely.node(PREFECT_API_URL=proxy.url, SKALD_HOME=home))

        def asked(what: str) -> list[int]:
            return [sum(kind == what for _, kind in proxy.requests) for proxy in proxies]

        looks = "POST /work_pools/NAME/get_scheduled_flow_runs"
        until(lambda: min(asked(looks)) > 2, 90, "they are up")
        assert max(asked("GET /flow_run_states/")) <= 1, "of 1,000 runs one bears no label"
        began = time.monotonic()
        until(lambda: all(count(proxy, began, looks) >= 3 for proxy in proxies), 120, "three idle looks")
        pages = sorted(count(proxy, began, "POST /flow_runs/filter") for proxy in proxies)
        workers = sorted(count(proxy, began, "POST /work_pools/NAME/workers/filter") for proxy in proxies)
        assert pages[0] == workers[0] == 0, "one of them looks at its own runs only, and has none"
        assert 1 <= pages[1] <= 5, "the other asks for those that are Cancelling"


def count(proxy: CountingProxy, since: float, what: str) -> int:
    return sum(kind == what for kind in proxy.since(since))


@pytest.fixture
async def client(server: PrefectServer) -> AsyncIterator[PrefectClient]:
    with temporary_settings({PREFECT_API_URL: server.url}):
        async with get_client() as client:
            yield client


async def test_lists_are_read_whole(client: PrefectClient, lonely: Bench) -> None:
    add_workers(
        lonely.server, pool_id(lonely), [f"w-{n}" for n in range(500)], online=True, silent=timedelta(0)
    )
    assert len(await workers_of(client, lonely.pool)) == 500
    assert await workers_of(client, "no such pool") == []
    run = claimed(lonely, "n", {"type": "RUNNING"})
    runs = [run, *copy_runs(lonely.server, run, 999)]
    api = RunApi(client, "n")
    assert {str(found.id) for found in await api.read_many(map(UUID, runs))} == set(runs)
    assert {str(found.id) for found in await api.read_live(map(UUID, runs))} == set(runs)


async def keeper(client: PrefectClient, pool: str, name: str) -> ClaimKeeper:
    made = first_announcement(name, pool, frozenset(), None)
    claim = await variables.create(client, made.variable, made.to_dict(), [TAG])
    assert claim is not None
    return ClaimKeeper(client, made, claim, 30)


class Look:
    """A node's look at its pool, which counts what it did."""

    def __init__(
        self, client: PrefectClient, claim: ClaimKeeper, fails: Callable[[], bool] = lambda: False
    ) -> None:
        self.done = 0
        self._fails = fails
        self.watch = PoolWatch(client, claim, self._see_to, self._end)

    async def _see_to(self, pool: WorkPool, nodes: frozenset[str]) -> None:
        raise AssertionError("nobody is dead")

    async def _end(self, pool: WorkPool) -> None:
        if self._fails():
            raise RuntimeError("a defect")
        self.done += 1


async def looks(client: PrefectClient, pool: str, count: int) -> list[Look]:
    return [Look(client, await keeper(client, pool, f"n-{number}")) for number in range(count)]


async def test_of_many_that_begin_together_one_leads_and_keeps_the_lead(
    client: PrefectClient, lonely: Bench
) -> None:
    pool = await client.read_work_pool(lonely.pool)
    nodes = await looks(client, lonely.pool, 8)
    for _ in range(3):
        await asyncio.gather(*(node.watch.sweep(pool) for node in nodes))
        assert sum(node.watch.leads for node in nodes) == 1
    assert sorted(node.done for node in nodes) == [0] * 7 + [3]


async def test_a_leader_that_looks_no_more_is_replaced_and_learns_it(
    client: PrefectClient, lonely: Bench
) -> None:
    pool = await client.read_work_pool(lonely.pool)
    nodes = await looks(client, lonely.pool, 6)
    stuck = nodes[0]
    await stuck.watch.sweep(pool)
    assert stuck.watch.leads
    age_variable(lonely.server, lead_variable(lonely.pool), LEAD_FOR + timedelta(seconds=5))
    await asyncio.gather(*(node.watch.sweep(pool) for node in nodes[1:]))
    assert sum(node.watch.leads for node in nodes[1:]) == 1
    assert stuck.watch.leads, "it believes so still"
    await stuck.watch.sweep(pool)
    assert not stuck.watch.leads and stuck.done == 1


async def test_a_leader_whose_looks_fail_does_not_renew_its_lead(
    client: PrefectClient, lonely: Bench
) -> None:
    pool = await client.read_work_pool(lonely.pool)
    broken = Look(client, await keeper(client, lonely.pool, "broken"), lambda: True)
    sound = Look(client, await keeper(client, lonely.pool, "sound"))
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await broken.watch.sweep(pool)
        age_variable(lonely.server, lead_variable(lonely.pool), LEAD_FOR + timedelta(seconds=5))
    await sound.watch.sweep(pool)
    assert sound.watch.leads and sound.done == 1


async def test_a_leader_that_stops_gives_the_lead_away(client: PrefectClient, lonely: Bench) -> None:
    pool = await client.read_work_pool(lonely.pool)
    first, second = await looks(client, lonely.pool, 2)
    await first.watch.sweep(pool)
    await first.watch.release()
    await second.watch.sweep(pool)
    assert second.watch.leads and not first.watch.leads
