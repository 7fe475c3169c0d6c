"""A node's look at more than its runs: at its name and at the lead, with one request; the leader's at its pool."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import Variable, WorkPool

from skald_work_pools.node.reconcile.dead_nodes import DeadNodeWatch, answered, given_up
from skald_work_pools.node.reconcile.pool_lead import Lead, Step, lead_variable, step
from skald_work_pools.node.server import variables
from skald_work_pools.node.server.claim_keeper import ClaimKeeper
from skald_work_pools.pages import workers_of

TAG = "skald-lead"
WORKERS_EVERY = 2
"""Looks of the leader from one at the pool's workers to the next; a dead one has been silent for minutes."""


class PoolWatch:
    """``see_to`` ends what the named nodes left behind, ``end_stuck`` what is Cancelling and nobody's."""

    def __init__(
        self,
        client: PrefectClient,
        claim: ClaimKeeper,
        see_to: Callable[[WorkPool, frozenset[str]], Awaitable[None]],
        end_stuck: Callable[[WorkPool], Awaitable[None]],
    ) -> None:
        self._client = client
        self._claim = claim
        self._see_to = see_to
        self._end_stuck = end_stuck
        self._watch: DeadNodeWatch | None = None
        self._lead: Lead | None = None
        self._looks = 0
        """Of this lead, one after the other, that were finished."""
        self._seen_to: frozenset[str] = frozenset()

    @property
    def leads(self) -> bool:
        """Whether this node had the lead at its last look."""
        return self._lead is not None

    async def sweep(self, pool: WorkPool) -> None:
        """
        Raises:
            NameTaken: the node's name is another one's.
            httpx.HTTPError: the server does not answer.
        """
        if (now := await self._renewed()) is None:
            name = lead_variable(pool.name)
            found, now = await variables.read(self._client, [self._claim.variable, name])
            await self._claim.confirm(found.get(self._claim.variable), now)
            self._lead = await self._lead_of(pool, _lead(found.get(name)), now)
        self._watch = answered(self._watch, time.monotonic())
        if self._lead is None:
            self._looks, self._seen_to = 0, frozenset()
            return
        looks, self._looks = self._looks, 0
        if looks % WORKERS_EVERY == 0:
            await self._see_to_dead(pool, now)
        await self._end_stuck(pool)
        self._looks = looks + 1

    async def _renewed(self) -> datetime | None:
        """The server's clock when the lead was and is this node's; one that fails at it is to lose it."""
        if self._lead is None or self._looks == 0:
            return None
        return await variables.write(self._client, self._lead.variable, self._value())

    async def release(self) -> None:
        """Give the lead to another node."""
        if self._lead is not None:
            await variables.remove(self._client, self._lead.variable)
            self._lead = None

    async def _lead_of(self, pool: WorkPool, lead: Lead | None, now: datetime) -> Lead | None:
        """The lead, if it is this node's."""
        what = step(lead, self._claim.life, now)
        if what is Step.LOOK:
            return lead
        if what is Step.FOLLOW:
            return None
        if lead is not None and not await variables.remove(self._client, lead.variable):
            return None
        made = await variables.create(self._client, lead_variable(pool.name), self._value(), [TAG])
        return Lead(made, self._claim.life, now) if made is not None else None

    async def _see_to_dead(self, pool: WorkPool, now: datetime) -> None:
        assert self._watch is not None
        workers = await workers_of(self._client, pool.name)
        dead = given_up(workers, now, self._watch) - {self._claim.announcement.name}
        self._seen_to &= dead
        if fresh := dead - self._seen_to:
            await self._see_to(pool, fresh)
            self._seen_to |= fresh

    def _value(self) -> dict[str, str]:
        return {"node": self._claim.announcement.name, "life": self._claim.life}


def _lead(found: Variable | None) -> Lead | None:
    if found is None:
        return None
    value = found.value if isinstance(found.value, dict) else {}
    return Lead(found.id, str(value.get("life") or ""), found.updated or datetime.now(UTC))
