"""The embedded server's SQLite under writers that come at the same time."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.services.prefect_server import PrefectServer

pytestmark = [pytest.mark.server, pytest.mark.oldest, pytest.mark.timeout(180)]
AT_ONCE, EACH = 8, 15


async def test_writers_at_once_wait_for_each_other_and_are_not_sent_away(server: PrefectServer) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        made = await client.post("/flows/", json={"name": "crowd"})
        body = {"flow_id": made.json()["id"], "state": {"type": "SCHEDULED"}}

        async def writer() -> list[int]:
            answers = []
            for _ in range(EACH):
                run = await client.post("/flow_runs/", json=body)
                path = f"/flow_runs/{run.json()['id']}/set_state"
                moved = await client.post(path, json={"state": {"type": "RUNNING"}})
                answers += [run.status_code, moved.status_code]
            return answers

        answers = await asyncio.gather(*(writer() for _ in range(AT_ONCE)))
    assert {code for writer in answers for code in writer} == {201}
