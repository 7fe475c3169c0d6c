"""Whatever is put into topics, collections, keys and labels: the next good item is served, also after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from bson import encode
from confluent_kafka import Consumer, Producer, TopicPartition
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Pending
from pymongo.errors import PyMongoError

from skald_bridge.wire.topics import COMMANDS
from skald_work_pools.messages import TAKEN_BY
from tests.integration.bridge.test_inward import document, event, new_id, run_of, say
from tests.integration.bridge.test_pulse import announce
from tests.services.bridged import Services
from tests.services.consumed import consumed
from tests.services.odd import bson_documents, labels, recordings, records, some
from tests.services.poll import auntil
from tests.services.runs import Deployed, life, live, start

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(600)]
GROUP = "skald-bridge"
TOGETHER = 20
"""Odd items between two good ones."""


async def good_document(services: Services, client: PrefectClient, deployed: Deployed) -> FlowRun:
    task = new_id()
    services.documents.insert_one(document(task, deployed.class_name))
    return await run_of(client, task)


async def good_cancel(services: Services, client: PrefectClient, run: FlowRun) -> None:
    """On the key and in the partitions that the odd records have."""
    task = str(run.idempotency_key).removeprefix("skald.task:")
    say(services, "task.cancel", event(task), "odd")

    async def cancelled() -> bool:
        return (await client.read_flow_run(run.id)).state_type in ("CANCELLED", "CANCELLING")

    await auntil(cancelled, 90, f"{task} is cancelled; the bridge: {services.bridge.log()[-3000:]}")


async def good_run(services: Services, client: PrefectClient, deployed: Deployed) -> UUID:
    run = await start(client, deployed)
    await live(client, run, life("n1"))

    async def told() -> bool:
        found = await asyncio.to_thread(services.document, run)
        return (
            found.get("lifecycleStatus") == "Finished"
            and services.pulse.get(f"task:{run}:heartbeat") == "200"
        )

    await auntil(told, 30, f"{run} in MongoDB and Redis; the bridge: {services.bridge.log()[-3000:]}")
    return run


async def in_turns(
    items: Sequence[Any], put: Callable[[Any], Awaitable[None]], good: Callable[[], Awaitable[object]]
) -> None:
    took = []
    for begin in range(0, len(items), TOGETHER):
        for item in items[begin : begin + TOGETHER]:
            await put(item)
        began = time.monotonic()
        await good()
        took.append(time.monotonic() - began)
    print(
        f"served after {statistics.median(took):.2f} s, {max(took):.2f} s at most, behind {TOGETHER} odd items"
    )


async def test_any_bytes_in_any_topic(services: Services, client: PrefectClient, deployed: Deployed) -> None:
    producer = Producer(services.kafka.client())
    sent = 0

    async def put(value: bytes) -> None:
        nonlocal sent
        for topic in COMMANDS:
            for key in (b"odd", b"\xff"):
                producer.produce(topic, value, key)
                sent += 1
        assert producer.flush(20) == 0

    async def good() -> None:
        await good_cancel(services, client, await good_document(services, client, deployed))

    await in_turns(records(45), put, good)
    await auntil(lambda: _caught_up(services), 60, f"all is committed: {services.bridge.log()[-3000:]}")
    services.bridge.kill()
    services.bridge.start()
    await good()
    rejected = [value for _, value in consumed(services.kafka.client(), "task.rejected")]
    assert len(rejected) >= sent // 4
    assert not [each for each in rejected if "unexpected" in each["reason"]]
    assert all({"topic", "partition", "offset", "reason"} <= each.keys() for each in rejected)


async def _caught_up(services: Services) -> bool:
    def behind() -> int:
        consumer = Consumer({**services.kafka.client(), "group.id": GROUP})
        try:
            left = 0
            for topic in COMMANDS:
                for partition in consumer.list_topics(topic, timeout=5).topics[topic].partitions:
                    place = TopicPartition(topic, partition)
                    _, end = consumer.get_watermark_offsets(place, timeout=5)
                    committed = consumer.committed([place], timeout=5)[0].offset
                    left += end - max(0, committed)
            return left
        finally:
            consumer.close()

    return await asyncio.to_thread(behind) == 0


async def test_any_document(services: Services, client: PrefectClient, deployed: Deployed) -> None:
    refs: list[Any] = []
    ids: set[str] = set()

    async def put(made: dict[str, Any]) -> None:
        if repr(made.get("id")) in ids:
            return  # two documents of one id are another matter
        ids.add(repr(made.get("id")))
        try:
            encode(made)
            refs.append(services.documents.insert_one(dict(made)).inserted_id)
        except (PyMongoError, ValueError, TypeError, OverflowError):
            return  # MongoDB itself does not take it

    async def good() -> None:
        await good_document(services, client, deployed)

    odd = [
        {**made, "id": new_id()} if made.get("id") == "same" else made
        for made in bson_documents(80, document("same", deployed.class_name))
    ]
    await in_turns(odd, put, good)

    def left() -> list[dict[str, Any]]:
        unjudged = {"lifecycleStatus": "Created", "mode": "Passive", "sequence": {"$exists": False}}
        return list(services.documents.find({"_id": {"$in": refs}, **unjudged}))

    async def judged() -> bool:
        return not await asyncio.to_thread(left)

    try:
        await auntil(judged, 60, "each is taken or refused")
    except AssertionError as error:
        error.add_note(f"{str(left())[:3000]}: {services.bridge.log()[-2000:]}")
        raise
    services.bridge.kill()
    services.bridge.start()
    await good()


async def test_any_labels_and_parameters_of_prefects_runs(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    taken = 0

    async def put(given: dict[str, Any]) -> None:
        nonlocal taken
        try:
            run = await start(client, deployed)
            await client.update_flow_run_labels(run, given)
            await live(client, run, [Pending(message=TAKEN_BY + "n1")])
        except Exception:
            return  # Prefect itself does not take it
        taken += 1

    async def good() -> None:
        await good_run(services, client, deployed)

    await in_turns(some(labels, 60), put, good)
    assert taken > 20
    services.bridge.kill()
    services.bridge.start()
    await good()


async def test_any_artifact(services: Services, client: PrefectClient, deployed: Deployed) -> None:
    taken = 0

    async def put(data: Any) -> None:
        nonlocal taken
        run = await start(client, deployed)
        try:
            made = ArtifactCreate(type="recording", key="odd", data=data, flow_run_id=run)
            await client.create_artifact(made)
        except Exception:
            return  # Prefect itself does not take it
        await live(client, run, life("n1"))
        taken += 1

    async def good() -> None:
        await good_run(services, client, deployed)

    await in_turns([{"path": "a", "size": 2**70}, "[" * 100_000, *some(recordings, 18)], put, good)
    assert taken > 10
    services.bridge.kill()
    services.bridge.start()
    await good()


async def test_a_run_that_prefect_cannot_show_hides_no_other(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    flow = await client.create_flow_from_name("Odd")
    loose = await client.create_deployment(flow, f"odd-{new_id()}", work_pool_name=deployed.pool)
    body = {"parameters": {"n": 2**70}, "state": {"type": "SCHEDULED"}}
    with contextlib.suppress(PrefectHTTPStatusError):
        await client.request("POST", f"/deployments/{loose}/create_flow_run", json=body)
    try:
        await client.read_flow_runs(deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[loose])))
    except PrefectHTTPStatusError:
        shown = False
    else:
        shown = True  # by Prefect 3.9
    services.bridge.kill()
    services.bridge.start()
    await good_run(services, client, deployed)

    async def said() -> bool:
        return shown or "is set aside: Failing" in services.bridge.log()

    await auntil(said, 30, f"it is named: {services.bridge.log()[-3000:]}")


ODD_VALUES: list[tuple[str, Callable[[Any, str], object]]] = [
    ("string", lambda redis, key: redis.set(key, "odd")),
    ("deep", lambda redis, key: redis.set(key, "[" * 100_000)),
    ("number", lambda redis, key: redis.set(key, "9" * 6000)),
    ("bytes", lambda redis, key: redis.set(key, b"\xff\xfe\0")),
    ("list", lambda redis, key: redis.rpush(key, "a", b"\xff", "")),
    ("set", lambda redis, key: redis.sadd(key, "a")),
    ("zset", lambda redis, key: redis.zadd(key, {"a": 1.5})),
    (
        "hash",
        lambda redis, key: redis.hset(key, mapping={"ghost": "inf", "other": "-1e400", b"\xff": "x", "": ""}),
    ),
    ("stream", lambda redis, key: redis.xadd(key, {"a": "b"})),
]
KEYS = (
    "skalds:hash",
    "skalds:mode:hash",
    "skalds:ghost:allow-task-class-name",
    "skalds:ghost:all-task",
    "skalds:ghost:heartbeat",
    "task:ghost:heartbeat",
    "task:ghost:exception",
    "task:ghost:has-error",
)


async def test_any_type_and_value_in_redis(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    for _, put in ODD_VALUES:
        for key in KEYS:
            services.pulse.delete(key)
            put(services.pulse, key)
            if services.pulse.type("skalds:hash") in ("hash", "none"):
                services.pulse.hset("skalds:hash", "ghost", "9999999999999")
        await good_run(services, client, deployed)
        unknown = new_id()
        services.documents.insert_one(document(unknown, "NobodysType"))

        async def refused(task: str = unknown) -> bool:
            return (await asyncio.to_thread(services.task, task)).get("lifecycleStatus") == "Failed"

        await auntil(refused, 30, f"an unknown class is refused: {services.bridge.log()[-3000:]}")
    for key in KEYS:
        services.pulse.delete(key)
    services.bridge.kill()
    services.bridge.start()
    await good_run(services, client, deployed)


async def test_a_key_that_takes_no_heartbeat_is_named(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    services.pulse.delete("skalds:hash")
    services.pulse.set("skalds:hash", "odd")
    await announce(client, deployed.pool, f"odd{new_id()[:6]}")
    said = "delivery heartbeats is set aside: Undeliverable: "

    async def told() -> bool:
        return said in services.bridge.log()

    await auntil(told, 60, f"Redis refuses a beat: {services.bridge.log()[-3000:]}")
    assert "skalds:hash" in services.bridge.log().split(said)[1].splitlines()[0]
    await good_run(services, client, deployed)
    services.pulse.delete("skalds:hash")
