"""What a poller knows of runs that wait for its node."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from skald_work_pools.leases import Lease, Refusal
from skald_work_pools.node.runs.poll_wake import PollWake
from skald_work_pools.node.runs.poller import Poller


class Node:
    """``scheduled`` are what Prefect has; ``fits`` is the admission's answer."""

    def __init__(self) -> None:
        self.scheduled: list[dict[str, Any]] = []
        self.fits: Any = object.__new__(Lease)
        self.answers = asyncio.Event()
        self.answers.set()
        self.wake = PollWake()
        admission = SimpleNamespace(
            closed=False, busy=False, running={}, offer=self._offer, let_go=lambda: None
        )
        self.poller: Any = Poller(self, admission, (), self.wake)  # type: ignore[arg-type]
        self.pool: Any = SimpleNamespace(name="cpu")

    async def scheduled_runs(self, *_: Any) -> list[dict[str, Any]]:
        await self.answers.wait()
        return self.scheduled

    async def _offer(self, *_: Any) -> Any:
        return self.fits

    def wait(self, count: int) -> None:
        due = datetime.now(UTC).isoformat()
        self.scheduled = [
            {"id": str(uuid4()), "flow_id": str(uuid4()), "name": "n", "next_scheduled_start_time": due}
            for _ in range(count)
        ]


@pytest.fixture
def node() -> Node:
    made = Node()
    made.poller._api = SimpleNamespace(scheduled=made.scheduled_runs)
    return made


async def test_before_the_first_answer_runs_may_wait(node: Node):
    assert node.poller.others_wait
    await node.poller.poll(node.pool)
    assert not node.poller.others_wait


@pytest.mark.parametrize(("permanent", "wait"), [(False, True), (True, False)])
async def test_runs_that_did_not_fit_wait_until_another_answer(node: Node, permanent: bool, wait: bool):
    node.wait(2)
    node.fits = Refusal("full", permanent=permanent)
    await node.poller.poll(node.pool)
    assert node.poller.others_wait is wait
    node.answers.clear()
    asking = asyncio.create_task(node.poller.poll(node.pool))
    await asyncio.sleep(0)
    assert node.poller.others_wait is wait, "also while it asks again"
    node.scheduled = []
    node.answers.set()
    await asking
    assert not node.poller.others_wait


async def test_runs_that_were_taken_do_not_wait(node: Node):
    node.wait(3)
    assert len(await node.poller.poll(node.pool)) == 3
    assert not node.poller.others_wait
