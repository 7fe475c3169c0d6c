"""Documents that nobody can run, and ids that are given again."""

from __future__ import annotations

import asyncio
from typing import Any

import bson
import pytest
from bson.int64 import Int64
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Pending, Running

from skald_work_pools.messages import TAKEN_BY
from tests.integration.bridge.test_inward import document, event, new_id, run_of, say, status
from tests.services.bridged import Services
from tests.services.poll import auntil
from tests.services.runs import ATTACHMENTS, Deployed, life, live

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

OTHERS = {"inputUrl": "other.mp4"}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


async def attempt(client: PrefectClient, task: str, number: int, given: dict[str, Any]) -> FlowRun:
    """The task's one run, once it waits for its attempt of this number with these attachments."""
    run = await run_of(client, task, name="Scheduled" if number == 1 else "AwaitingRetry")
    assert run.parameters == {"attachments": given}
    assert run.run_count == number - 1
    return run


async def finish(services: Services, client: PrefectClient, run: FlowRun, task: str) -> None:
    """What was known of an earlier attempt may come a moment late."""
    await live(client, run.id, life("n1"))
    number = run.run_count + 1

    async def finished() -> bool:
        found = await asyncio.to_thread(services.task, task)
        return (found.get("lifecycleStatus"), found.get("attempt")) == ("Finished", number)

    await auntil(finished, 30, f"attempt {number} is Finished: {services.bridge.log()[-3000:]}")


async def test_one_document_that_nobody_can_take_holds_up_no_other(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    kind = deployed.class_name
    bad: dict[str, tuple[Any, str]] = {}
    for made, said in (
        (lambda task: document(task, kind, attachments={"inputUrl": nested(90)}), "inputUrl"),
        (lambda task: document(task, kind, attachments={"inputUrl": float("nan")}), "inputUrl"),
        (lambda task: document(task, kind, attachments={"inputUrl": "a\0"}), "inputUrl"),
        (lambda task: document(task, kind, attachments={"inputUrl": "x" * 9 * 2**20}), "not kept"),
        (lambda task: document(task, kind, attachments={"inputUrl": "x" * 15 * 2**20}), "10 MiB"),
        (lambda task: document(task, "x" * 300), "className"),
        (lambda task: document(task, kind, className={"not": "text"}), "className"),
    ):
        task = new_id()
        services.documents.insert_one(made(task))
        bad[task] = (made, said)
    nameless = [
        services.documents.insert_one({**document("", kind), "id": id_}).inserted_id
        for id_ in (5, Int64(2**62), {"a": "b"}, 1.5, True, bson.ObjectId(), "a/b", None)
    ]
    good = new_id()
    services.documents.insert_one(document(good, kind))
    await run_of(client, good)
    for task, (_, said) in bad.items():
        found = await status_of(services, task)
        assert said in found["exception"], (said, found["exception"])
        assert len(found["exception"]) < 1000

    async def marked() -> bool:
        wanted = {"_id": {"$in": nameless}, "lifecycleStatus": "Failed", "exception": {"$regex": "id"}}
        return services.documents.count_documents(wanted) == len(nameless)

    await auntil(marked, 30, f"documents without a name are Failed: {services.bridge.log()[-3000:]}")
    assert "larger" in (await status_of(services, list(bad)[4]))["exception"]
    too_large = (await status_of(services, list(bad)[3]))["exception"]
    assert "bytes" in too_large, too_large

    services.bridge.kill()
    services.bridge.start()
    after = new_id()
    services.documents.insert_one(document(after, kind))
    run = await run_of(client, after)
    await finish(services, client, run, after)


async def status_of(services: Services, task: str) -> dict[str, Any]:
    """A refused document, without what may be unreadable in it."""
    found: dict[str, Any] = {}

    async def failed() -> bool:
        fields = {"lifecycleStatus": 1, "exception": 1}
        found.update(services.documents.find_one({"id": task}, fields) or {})
        return found.get("lifecycleStatus") == "Failed" and bool(found.get("exception"))

    await auntil(failed, 30, f"{task} is Failed: {found}; the bridge: {services.bridge.log()[-3000:]}")
    return found


async def test_an_id_that_is_given_again_is_a_new_attempt_with_what_is_said_now(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    task = new_id()
    first = document(task, deployed.class_name)
    services.documents.insert_one(dict(first))
    await finish(services, client, await attempt(client, task, 1, ATTACHMENTS), task)

    services.documents.delete_one({"id": task})
    services.documents.insert_one(document(task, deployed.class_name, attachments=OTHERS))
    await finish(services, client, await attempt(client, task, 2, OTHERS), task)
    assert services.task(task)["appliedAttachments"] == OTHERS

    services.documents.replace_one({"id": task}, dict(first))
    await finish(services, client, await attempt(client, task, 3, ATTACHMENTS), task)

    services.documents.update_one(
        {"id": task}, {"$set": {"lifecycleStatus": "Created", "attachments": OTHERS}}
    )
    await finish(services, client, await attempt(client, task, 4, OTHERS), task)

    # As it was, and after a restart of the bridge.
    services.bridge.kill()
    services.documents.replace_one({"id": task}, document(task, deployed.class_name, attachments=OTHERS))
    services.bridge.start()
    say(services, "task.assign", event(task), task)
    run = await attempt(client, task, 5, OTHERS)
    await live(client, run.id, [Pending(message=TAKEN_BY + "n1"), Running()])
    await status(services, task, "Running")

    # Another while it goes on is refused, and the task goes on.
    services.documents.delete_one({"id": task})
    services.documents.insert_one(document(task, deployed.class_name, attachments={"inputUrl": "late.mp4"}))

    async def noted() -> bool:
        return "goes on" in (services.pulse.get(f"task:{task}:has-error") or "")

    await auntil(noted, 30, f"why it is refused, in Redis; the bridge: {services.bridge.log()[-3000:]}")
    await status(services, task, "Running")
    assert services.task(task)["appliedAttachments"] == OTHERS
    await live(client, run.id, [Completed()])
    await status(services, task, "Finished")

    # What its type does not take is Failed, and can be corrected.
    services.documents.replace_one(
        {"id": task}, document(task, deployed.class_name, attachments={"wrong": 1})
    )
    assert "wrong" in (await status(services, task, "Failed"))["exception"]

    async def told() -> bool:
        return "wrong" in (services.pulse.get(f"task:{task}:exception") or "")

    await auntil(told, 30, "why it is refused, in Redis")
    await asyncio.to_thread(
        services.documents.update_one,
        {"id": task},
        {"$set": {"lifecycleStatus": "Created", "attachments": ATTACHMENTS}},
    )
    await finish(services, client, await attempt(client, task, 6, ATTACHMENTS), task)
    assert services.task(task)["exception"] is None
