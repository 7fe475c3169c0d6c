"""An edge of more entries than one answer of Prefect holds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.states import Completed, Running

from skald_bridge.installation.supervisor import Supervisor
from skald_bridge.modes.edge import ENTRY_LABEL, _digest, _Edge
from skald_bridge.modes.jobs import CheckedEntry
from tests.services import runs
from tests.services.crowd import copy_runs, opened
from tests.services.prefect_server import PrefectServer

pytestmark = pytest.mark.server
ENTRIES = 450


def jobs(class_name: str) -> list[CheckedEntry]:
    def one(number: int) -> Any:
        entry = SimpleNamespace(id=f"entry-{number}", is_persistent=False)
        kind = SimpleNamespace(name=class_name)
        return SimpleNamespace(
            entry=entry, type=kind, parameters=lambda: {"attachments": {"inputUrl": entry.id}}
        )

    return cast(list[CheckedEntry], [one(number) for number in range(ENTRIES)])


async def left_behind(client: PrefectClient, server: PrefectServer, made: runs.Deployed) -> list[str]:
    """Running tasks of an earlier edge, one for each entry."""
    first = await runs.start(client, made)
    await runs.live(client, first, [Running()])
    return [str(first), *copy_runs(server, str(first), ENTRIES - 1)]


def label(server: PrefectServer, found: list[str], given: list[CheckedEntry]) -> None:
    sql = "UPDATE flow_run SET labels = json_object('skald.task-id', ?, ?, ?) WHERE id = ?"
    with opened(server) as database:
        for run, job in zip(found, given, strict=True):
            database.execute(sql, [job.entry.id, ENTRY_LABEL, _digest(job), run])


async def test_all_are_taken_over_and_every_end_is_seen(server: PrefectServer) -> None:
    async with runs.client_of(server.url) as client:
        made = await runs.deploy(client)
        given = jobs(made.class_name)
        edge = _Edge(given, {made.class_name: made.deployment}, made.pool, cast(Supervisor, None))
        found = await left_behind(client, server, made)
        label(server, found, given)
        await edge._take_over(client)
        assert {track.run for track in edge._tracks.values()} == set(found)

        ended = await runs.start(client, made)
        await runs.live(client, ended, [Running(), Completed()])
        with opened(server) as database:
            sql = """UPDATE flow_run SET state_id = (SELECT state_id FROM flow_run WHERE id = ?1),
                state_type = 'COMPLETED', state_name = 'Completed' WHERE work_queue_id IN
                (SELECT work_queue_id FROM flow_run WHERE id = ?1)"""
            database.execute(sql, [str(ended)])
        await client.delete_flow_run(UUID(found[0]))
        await edge._look(client)
        results = [str(track.result) for track in edge._tracks.values()]
        assert (results.count("COMPLETED"), results.count("CANCELLED")) == (ENTRIES - 1, 1)


async def test_an_entry_that_prefect_refuses_is_set_aside_and_the_others_start(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with runs.client_of(server.url) as client:
        made = await runs.deploy(client)
        first, second = jobs(made.class_name)[:2]
        refused = cast(Any, first)
        refused.parameters = lambda: {"attachments": {"segmentSeconds": "many"}}
        edge = _Edge([first, second], {made.class_name: made.deployment}, made.pool, cast(Supervisor, None))
        await edge._step(client)
        assert str(edge._tracks["entry-0"].result) == "FAILED"
        assert edge._tracks["entry-1"].run is not None


async def test_a_defect_is_not_taken_for_a_server_that_is_away(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with runs.client_of(server.url) as client:
        made = await runs.deploy(client)
        edge = _Edge(jobs(made.class_name)[:1], {}, made.pool, cast(Supervisor, None))
        edge._tracks["entry-0"] = edge._tracks["entry-0"].started(str(uuid4()), 0.0)
        request = httpx.Request("POST", f"{server.url}/flow_runs/filter")

        async def refused(*_: object, **__: object) -> None:
            raise httpx.HTTPStatusError("422", request=request, response=httpx.Response(422, request=request))

        monkeypatch.setattr(client, "read_flow_runs", refused)
        with pytest.raises(httpx.HTTPStatusError):
            await edge._step(client)

        async def away(*_: object, **__: object) -> None:
            raise httpx.ConnectError("refused", request=request)

        monkeypatch.setattr(client, "read_flow_runs", away)
        await edge._step(client)
