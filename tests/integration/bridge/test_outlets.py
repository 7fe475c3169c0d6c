"""What Prefect knows is in Kafka, Redis and MongoDB, also after they were away."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.states import Cancelled, Cancelling

from skald_bridge import quick
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import StateType, lifecycle_of
from tests.services.bridged import Services
from tests.services.consumed import consumed
from tests.services.poll import auntil
from tests.services.redis_keys import immortal_keys
from tests.services.runs import Deployed, life, live, start

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


async def lived(client: PrefectClient, deployed: Deployed, count: int, *, fails: bool = False) -> list[UUID]:
    runs = [await start(client, deployed) for _ in range(count)]
    await asyncio.gather(*(live(client, run, life("n1", fails=fails)) for run in runs))
    return runs


async def expected(client: PrefectClient, runs: list[UUID]) -> dict[str, list[str]]:
    history = {str(run): await client.read_flow_run_states(run) for run in runs}
    return {run: [state.name or "" for state in states] for run, states in history.items()}


async def arrives(services: Services, client: PrefectClient, runs: list[UUID]) -> None:
    """Every state in Kafka, in order; every document and last heartbeat as the task ended."""
    wanted = await expected(client, runs)

    async def all_there() -> bool:
        return await asyncio.to_thread(services.states, runs) == wanted

    await auntil(all_there, 60, f"all states in Kafka; the bridge said {services.bridge.log()[-3000:]}")
    for run in runs:
        state = (await client.read_flow_run(run)).state
        assert state is not None
        status = lifecycle_of(StateType(state.type.value)).value

        async def put(run: UUID = run, status: str = status) -> bool:
            return services.document(run).get("lifecycleStatus") == status

        await auntil(put, 60, f"{run} is {status} in MongoDB")
        beat = {"Finished": "200", "Failed": "-1", "Cancelled": "-2"}[status]

        async def ended(run: UUID = run, beat: str = beat) -> bool:
            return services.pulse.get(f"task:{run}:heartbeat") == beat

        await auntil(ended, 60, f"the last heartbeat of {run}")


async def test_a_tasks_story_is_told_everywhere(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    finished = await lived(client, deployed, 3)
    failed = await lived(client, deployed, 1, fails=True)
    cancelled = [await start(client, deployed)]
    await live(client, cancelled[0], [*life("n1")[:2], Cancelling(), Cancelled()])
    await arrives(services, client, [*finished, *failed, *cancelled])

    document = services.document(finished[0])
    assert document["className"] == deployed.class_name
    assert document["executor"] == document["node"] == "n1"
    assert document["attachments"] == {"inputUrl": "bikes.mp4"}
    assert document["createDateTime"] <= document["updateDateTime"] < document["deadlineDateTime"]
    assert services.document(failed[0])["exception"] == "ffmpeg ended with 1"
    assert services.pulse.get(f"task:{failed[0]}:exception") == "ffmpeg ended with 1"
    assert immortal_keys(services.redis.port) == []

    connection = services.kafka.client()
    ours = {str(run) for run in [*finished, *failed, *cancelled]}
    assigned = {task: event["recipient"] for task, event in consumed(connection, "task.assign")}
    assert {task: node for task, node in assigned.items() if task in ours} == dict.fromkeys(ours, "n1")
    stopped = [event["taskIds"] for task, event in consumed(connection, "task.cancel") if task in ours]
    assert stopped == [[str(cancelled[0])]]


async def test_services_that_are_away_hold_up_nothing_and_miss_nothing(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    runs = await lived(client, deployed, 3)
    await arrives(services, client, runs)
    # Redis first: this one forgets when it is killed what it was told before.
    away: list[Any] = [services.redis, services.kafka, services.mongo]
    for service in away:
        await asyncio.to_thread(service.kill)
        more = await lived(client, deployed, 3, fails=service is services.mongo)
        runs += more

        async def journaled(more: list[UUID] = more) -> bool:
            async with quick.journal(services.bridge.journal) as journal:
                last = await journal.last([TaskId(str(run)) for run in more])
            return all(run in last and last[run].state.terminal for run in [TaskId(str(r)) for r in more])

        await auntil(journaled, 30, f"the journal goes on without {service.name}")
    services.bridge.kill()
    runs += await lived(client, deployed, 2)
    services.bridge.start()
    for service in away:
        await asyncio.to_thread(service.start)
    await arrives(services, client, runs[3:])
