"""What a node does with an offer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from skald_work_pools.leases import Lease
from skald_work_pools.leases import Refusal as Full
from skald_work_pools.link.messages import Offer, Refused, Taken
from skald_work_pools.node.link.offers import Offers

POOL = uuid4()
RUN = uuid4()


class Node:
    def __init__(self, *queues: str) -> None:
        self.pool: Any = SimpleNamespace(id=POOL, is_paused=False, concurrency_limit=None)
        self.admission = SimpleNamespace(running={}, left={}, busy=False, offer=self._offer)
        self.poller = SimpleNamespace(others_wait=False)
        self.answer: Any = object.__new__(Lease)
        self.admitted: list[tuple[Any, ...]] = []
        self.offers: Any = Offers(self.admission, self.poller, lambda: self.pool, queues)

    async def _offer(self, pool: Any, run: Any, data: Any, *, keeps_place: bool) -> Any:
        self.admitted.append((pool, run.id, data, keeps_place))
        return self.answer

    async def asked(self, queue: str = "default", pool: object = POOL, **run: Any) -> Any:
        told = {"id": str(RUN), "flow_id": str(uuid4()), "name": "n", **run}
        return await self.offers.consider(Offer(str(RUN), str(pool), queue, told))


async def test_a_run_is_taken_as_it_was_told():
    node = Node()
    assert await node.asked(parameters={"a": 1}) == Taken(str(RUN))
    [(pool, run, data, keeps_place)] = node.admitted
    assert (pool, run, keeps_place) == (node.pool, RUN, False) and data["parameters"] == {"a": 1}


async def test_a_run_that_is_here_is_not_started_again():
    node = Node()
    node.admission.running[str(RUN)] = object()
    assert await node.asked() == Taken(str(RUN)) and not node.admitted
    node = Node()
    node.admission.left[str(RUN)] = 1.0
    assert isinstance(found := await node.asked(), Refused) and found.permanent and not node.admitted


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda node: setattr(node.pool, "is_paused", True), "paused"),
        (lambda node: setattr(node.pool, "concurrency_limit", 3), "limit"),
        (lambda node: setattr(node.pool, "concurrency_limit", 0), "limit"),
        (lambda node: setattr(node.poller, "others_wait", True), "other runs wait"),
        (lambda node: setattr(node.admission, "busy", True), "as many runs at once"),
    ],
)
async def test_what_a_poll_would_not_give_now_is_refused(change, reason):
    node = Node()
    change(node)
    found = await node.asked()
    assert isinstance(found, Refused) and reason in found.reason and not found.permanent and not node.admitted


async def test_a_run_of_another_pool_or_queue_is_refused_for_good():
    for found in (
        await Node().asked(pool=uuid4()),
        await Node("a", "b").asked(queue="c"),
        await Node().asked(flow_id=7),
    ):
        assert isinstance(found, Refused) and found.permanent
    assert await Node("a", "b").asked(queue="b") == Taken(str(RUN))


async def test_admissions_refusal_is_passed_on():
    node = Node()
    node.answer = Full("needs 9 cpus, has 4", permanent=True)
    assert await node.asked() == Refused(str(RUN), "needs 9 cpus, has 4", permanent=True)


async def test_a_run_that_a_poll_found_meanwhile_is_taken():
    node = Node()
    node.answer = Full("already has a lease here")

    async def found(*_: Any, **__: Any) -> Any:
        node.admission.running[str(RUN)] = object()
        return node.answer

    node.admission.offer = found
    assert await node.asked() == Taken(str(RUN))
