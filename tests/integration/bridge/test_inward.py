"""What Skalds' clients write into MongoDB and Kafka happens in Prefect."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from uuid import UUID, uuid4

import pytest
from confluent_kafka import Producer
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterIdempotencyKey
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Crashed, Failed, Pending, Running

from skald_work_pools.messages import TAKEN_BY
from tests.services.bridged import Services
from tests.services.consumed import consumed
from tests.services.poll import auntil
from tests.services.runs import ATTACHMENTS, Deployed, life, live

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


def document(task: str, class_name: str, **fields: Any) -> dict[str, Any]:
    now = int(time.time() * 1000)
    return {
        "id": task,
        "className": class_name,
        "source": "MongoDB",
        "name": f"name of {task}",
        "description": "a test",
        "executor": None,
        "dependencies": None,
        "mode": "Passive",
        "isPersistent": False,
        "createDateTime": now,
        "updateDateTime": now,
        "deadlineDateTime": now + 7 * 86_400_000,
        "lifecycleStatus": "Created",
        "priority": 0,
        "attachments": dict(ATTACHMENTS),
        **fields,
    }


def new_id() -> str:
    return f"task-{uuid4().hex[:10]}"


def say(services: Services, topic: str, value: bytes, key: str = "") -> None:
    producer = Producer(services.kafka.client())
    producer.produce(topic, value, key.encode() or None)
    assert producer.flush(20) == 0


def event(*tasks: str, **fields: Any) -> bytes:
    """As the documents' client example writes it: without aliases."""
    now = int(time.time() * 1000)
    return json.dumps(
        {"id": str(uuid4()), "title": "t", "initiator": "client", "recipient": None}
        | {"create_date_time": now, "update_date_time": now, "task_ids": list(tasks), **fields}
    ).encode()


async def run_of(client: PrefectClient, task: str, *, name: str | None = None) -> FlowRun:
    """The one flow run of a Skalds task, once there is one."""
    found: list[FlowRun] = []

    async def there() -> bool:
        key = FlowRunFilterIdempotencyKey(any_=[f"skald.task:{task}"])
        found[:] = await client.read_flow_runs(flow_run_filter=FlowRunFilter(idempotency_key=key))
        return bool(found) and (name is None or found[0].state_name == name)

    await auntil(there, 30, f"a flow run of {task} {name or ''}")
    assert len(found) == 1
    return found[0]


async def status(services: Services, task: str, wanted: str) -> dict[str, Any]:
    async def so() -> bool:
        return (await asyncio.to_thread(services.task, task)).get("lifecycleStatus") == wanted

    await auntil(
        so, 30, f"{task} is {wanted}: {services.task(task)}; the bridge: {services.bridge.log()[-2000:]}"
    )
    return services.task(task)


async def test_a_document_becomes_a_task_and_keeps_its_id(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    task = new_id()
    services.documents.insert_one(document(task, deployed.class_name, priority=7, isPersistent=True))
    run = await run_of(client, task)
    assert run.name == f"name of {task}"
    assert run.parameters == {"attachments": ATTACHMENTS}
    assert run.work_queue_name == "priority-7"
    assert run.labels["skald.persistent"] is True
    await live(client, run.id, life("n1"))
    found = await status(services, task, "Finished")
    assert (found["executor"], found["priority"], found["isPersistent"]) == ("n1", 7, True)
    assert found["description"] == "a test"
    assert found["attachments"] == ATTACHMENTS

    async def told() -> bool:
        return await asyncio.to_thread(services.states_of, task) == [
            "Scheduled",
            "Pending",
            "Running",
            "Completed",
        ]

    await auntil(told, 30, f"its states in Kafka: {services.states_of(task)}")

    async def ended() -> bool:
        return services.pulse.get(f"task:{task}:heartbeat") == "200"

    await auntil(ended, 30, "its end in Redis")
    assert services.documents.count_documents({"id": task}) == 1


async def test_documents_events_cancels_and_updates_of_the_documents_client(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    task, other = new_id(), str(uuid4())
    for each in (task, other):
        services.documents.insert_one(document(each, deployed.class_name))
        say(services, "task.assign", event(each), each)
    run = await run_of(client, task)
    await run_of(client, other)
    services.documents.update_one({"id": task}, {"$set": {"attachments": {"inputUrl": "later.mp4"}}})
    say(services, "task.update.attachment", event(task), task)

    async def updated() -> bool:
        return (await client.read_flow_run(run.id)).parameters == {"attachments": {"inputUrl": "later.mp4"}}

    await auntil(updated, 30, "the run has the new attachments")
    say(services, "task.cancel", event(task, other), task)
    found = await status(services, task, "Cancelled")
    await status(services, other, "Cancelled")

    async def applied() -> bool:
        return services.task(task).get("appliedAttachments") == {"inputUrl": "later.mp4"}

    await auntil(applied, 10, "the archive has what was applied, before a sweep finds it")
    assert found["attachments"] == {"inputUrl": "later.mp4"}
    assert (await client.read_flow_run(run.id)).state_name == "Cancelled"

    services.documents.update_one({"id": task}, {"$set": {"lifecycleStatus": "Created"}})
    again = await run_of(client, task, name="AwaitingRetry")
    assert again.id == run.id


async def test_what_cannot_be_done_says_why_and_holds_up_nothing(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    bad = {
        new_id(): (document("", "NoSuchType"), "NoSuchType"),
        new_id(): (document("", deployed.class_name, attachments={"inputUrl": 5}), "inputUrl"),
        new_id(): (document("", deployed.class_name, attachments={"inputUrll": "x"}), "inputUrll"),
        new_id(): (document("", deployed.class_name, priority=11), "priority"),
        new_id(): (document("", deployed.class_name, dependencies="x"), "dependencies"),
    }
    for task, (made, _) in bad.items():
        services.documents.insert_one({**made, "id": task})
    nameless = services.documents.insert_one({**document("", deployed.class_name), "id": 5}).inserted_id
    records = [
        b"\xff\xfe\x00binary",
        b"{not json",
        b"[]",
        b'{"taskIds": []}',
        b"x" * 400_000,
        event("nobody"),
    ]
    for record in records:
        say(services, "task.cancel", record, "same key")
    good = new_id()
    services.documents.insert_one(document(good, deployed.class_name))
    run = await run_of(client, good)
    for task, (_, field) in bad.items():
        found = await status(services, task, "Failed")
        assert field in found["exception"]

        async def said(task: str = task, field: str = field) -> bool:
            return field in (services.pulse.get(f"task:{task}:exception") or "")

        await auntil(said, 20, f"why {task} failed, in Redis")
        assert services.pulse.get(f"task:{task}:heartbeat") == "-1"

    async def refused() -> bool:
        found = services.documents.find_one({"_id": nameless}) or {}
        return found.get("lifecycleStatus") == "Failed" and "id" in found["exception"]

    await auntil(refused, 20, "a document that cannot be named")

    def rejected() -> list[dict[str, Any]]:
        return [told for _, told in consumed(services.kafka.client(), "task.rejected")]

    async def all_rejected() -> bool:
        return len(await asyncio.to_thread(rejected)) == len(records)

    await auntil(all_rejected, 30, "every bad record is on task.rejected")
    told = rejected()
    assert [each["offset"] for each in told] == sorted(each["offset"] for each in told)
    assert [each["size"] for each in told] == [len(record) for record in records]
    assert all(each["reason"] and each["topic"] == "task.cancel" for each in told)
    # The same partition goes on.
    say(services, "task.cancel", event("nobody else", good), "same key")
    await status(services, good, "Cancelled")
    assert (await client.read_flow_run(run.id)).state_name == "Cancelled"


async def test_an_update_that_no_task_answers_holds_up_no_other_command(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    silent, *others = (new_id() for _ in range(3))
    for task in (silent, *others):
        services.documents.insert_one(document(task, deployed.class_name))
    run = await run_of(client, silent)
    await live(client, run.id, [Pending(message=TAKEN_BY + "n1"), Running()])
    await status(services, silent, "Running")
    services.documents.update_one({"id": silent}, {"$set": {"attachments": {"inputUrl": "later.mp4"}}})
    say(services, "task.update.attachment", event(silent), silent)
    for task in others:
        await run_of(client, task)
        say(services, "task.cancel", event(task), task)
        await status(services, task, "Cancelled")
    # It is still being asked.
    assert services.pulse.get(f"task:{silent}:has-error") is None

    async def given_up() -> bool:
        return "answer" in (services.pulse.get(f"task:{silent}:has-error") or "")

    await auntil(given_up, 60, "that it does not answer, in Redis")


async def test_dependencies(services: Services, client: PrefectClient, deployed: Deployed) -> None:
    first, second, third, fourth = (new_id() for _ in range(4))
    services.documents.insert_many(
        [
            document(third, deployed.class_name, dependencies=[second]),
            document(second, deployed.class_name, dependencies=[first]),
            document(first, deployed.class_name),
            document(fourth, deployed.class_name, dependencies=[first, third]),
        ]
    )
    for waiting in (second, third, fourth):
        await run_of(client, waiting, name="AwaitingDependencies")
    await live(client, (await run_of(client, first)).id, life("n1"))
    run = await run_of(client, second, name="Scheduled")
    await live(client, run.id, [Pending(message=TAKEN_BY + "n1"), Running(), Failed(message="out of film")])
    assert second in (await status(services, third, "Failed"))["exception"]
    assert third in (await status(services, fourth, "Failed"))["exception"]

    left, right = new_id(), new_id()
    services.documents.insert_one(document(left, deployed.class_name, dependencies=[right]))
    await run_of(client, left, name="AwaitingDependencies")
    services.documents.insert_one(document(right, deployed.class_name, dependencies=[left]))
    assert "cycle" in (await status(services, right, "Failed"))["exception"]
    assert right in (await status(services, left, "Failed"))["exception"]


async def test_what_is_late_fails_and_says_so(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    past = int(time.time() * 1000) - 1000
    late, working, persistent = (new_id() for _ in range(3))
    for task in (late, working, persistent):
        fields = {"isPersistent": task == persistent, "deadlineDateTime": past + 6000 * (task != late)}
        services.documents.insert_one(document(task, deployed.class_name, **fields))
    for task in (working, persistent):
        run = await run_of(client, task)
        await live(client, run.id, [Pending(message=TAKEN_BY + "n1"), Running()])
    assert "deadlineDateTime" in (await status(services, late, "Failed"))["exception"]
    run = await run_of(client, working, name="Cancelling")
    assert run.state is not None
    assert "deadlineDateTime" in (run.state.message or "")
    run = await run_of(client, persistent)
    assert run.state_name == "Running"
    await live(client, run.id, [Completed()])
    await status(services, persistent, "Finished")


async def test_higher_priorities_are_taken_first(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    order = [3, 0, 10, 5, 9]
    tasks = {priority: new_id() for priority in order}
    for priority, task in tasks.items():
        services.documents.insert_one(document(task, deployed.class_name, priority=priority))
    runs: dict[UUID, int] = {}
    for priority, task in tasks.items():
        runs[(await run_of(client, task)).id] = priority
    given = await client.get_scheduled_flow_runs_for_work_pool(deployed.pool)
    assert [runs[each.flow_run.id] for each in given] == [10, 9, 5, 3, 0]


async def test_commands_given_while_the_bridge_was_dead_are_carried_out_once(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    task, stopped = new_id(), new_id()
    services.documents.insert_one(document(stopped, deployed.class_name))
    await run_of(client, stopped)
    services.bridge.kill()
    services.documents.insert_one(document(task, deployed.class_name))
    say(services, "task.assign", event(task), task)
    say(services, "task.assign", event(task), task)
    say(services, "task.cancel", event(stopped), stopped)
    services.bridge.start()
    await run_of(client, task)
    await status(services, stopped, "Cancelled")


async def test_a_persistent_task_whose_node_died_starts_again_and_others_do_not(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    persistent, other, failed = (new_id() for _ in range(3))
    for task in (persistent, other, failed):
        services.documents.insert_one(document(task, deployed.class_name, isPersistent=task != other))
        run = await run_of(client, task)
        end = Failed(message="no film") if task == failed else Crashed(message="its node died")
        await live(client, run.id, [Pending(message=TAKEN_BY + "n1"), Running(), end])
    again = await run_of(client, persistent, name="AwaitingRetry")
    assert again.state is not None
    for task in (other, failed):
        await status(services, task, "Failed")
    await live(client, again.id, life("n2"))
    assert (await status(services, persistent, "Finished"))["attempt"] == 2
    for task, name in ((other, "Crashed"), (failed, "Failed")):
        assert (await run_of(client, task)).state_name == name
