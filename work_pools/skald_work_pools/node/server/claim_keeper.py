"""A node's name, claimed before its first heartbeat, watched while it runs and given back at its end."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import Variable, Worker

from skald_work_pools.devices import Announcement
from skald_work_pools.node.lock import NameTaken, NodeLock
from skald_work_pools.node.server import variables
from skald_work_pools.node.server.name_claims import (
    HEARTBEATS,
    INTERVAL,
    Claimant,
    Holder,
    Keep,
    NameWatch,
    Refuse,
    Replace,
    judge,
    refusal,
)
from skald_work_pools.pages import pages, worker_reader
from skald_work_pools.retrying import insist

TAG = "skald-node"
AGAIN = 1.0
"""Seconds between looks at a holder of whom it is not certain that it has ended."""
_log = logging.getLogger("skald.node.name")


async def take_name(client: PrefectClient, announcement: Announcement, lock: NodeLock) -> UUID:
    """Id of the claim, the variable that holds the announcement.

    Raises:
        NameTaken: a living node has the name.
    """
    claimant = Claimant(
        announcement.name, announcement.pool, announcement.life, frozenset(lock.lives), lock.dead
    )
    lock.claiming(announcement.life)
    first: tuple[Holder, datetime] | None = None
    while True:
        made = await insist(
            lambda: variables.create(client, announcement.variable, announcement.to_dict(), [TAG]), "claim"
        )
        if made is not None:
            break
        found, now = await insist(lambda: variables.read(client, [announcement.variable]), "claim")
        if (there := found.get(announcement.variable)) is None:
            continue
        worker = await insist(lambda: _worker(client, announcement.pool, announcement.name), "workers")
        holder = _holder(there, worker)
        if first is None:
            verdict = judge(holder, claimant, now)
        else:
            verdict = judge(holder, claimant, now, first[0], now - first[1])
        match verdict:
            case Keep():
                made = holder.claim
                break
            case Replace():
                _log.info("the name was process %d's on host %s, which has ended", holder.pid, holder.host)
                await insist(functools.partial(variables.remove, client, holder.claim), "claim")
            case NameWatch():
                if first is None:
                    _log.warning("waiting: is process %d on host %s alive?", holder.pid, holder.host)
                if first is None or first[0].heard != holder.heard:
                    first = holder, now
                await asyncio.sleep(AGAIN)
            case Refuse(message):
                lock.refused()
                raise NameTaken(message)
    lock.claimed(announcement.life)
    return made


class ClaimKeeper:
    """``interval``: seconds between the node's heartbeats, by which others judge its claim."""

    def __init__(
        self, client: PrefectClient, announcement: Announcement, claim: UUID, interval: float
    ) -> None:
        self._client = client
        self._claim = claim
        self._limit = (HEARTBEATS - 1) * interval
        self._checked = _clocks()
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.announcement = announcement

    @property
    def variable(self) -> str:
        return self.announcement.variable

    @property
    def life(self) -> str:
        return self.announcement.life

    @property
    def is_doubtful(self) -> bool:
        """Whether it was not looked at for so long that another node may have the name by now."""
        return any(now - then > self._limit for now, then in zip(_clocks(), self._checked, strict=True))

    @property
    def reason(self) -> str:
        """Who has the name now; empty while it is this node's."""
        return self._lost.result() if self._lost.done() else ""

    async def lost(self) -> str:
        """Wait until the name is found to be another node's; says whose."""
        return await asyncio.shield(self._lost)

    async def write(self, announcement: Announcement) -> None:
        """Raises ``NameTaken``."""
        self.announcement = announcement
        if await variables.write(self._client, self._claim, announcement.to_dict()) is None:
            await self.check()

    async def check(self) -> None:
        """Raises ``NameTaken`` when the name is another node's now."""
        asked = _clocks()
        found, now = await variables.read(self._client, [self.variable])
        await self.confirm(found.get(self.variable), now)
        self._checked = asked

    async def confirm(self, found: Variable | None, now: datetime) -> None:
        """``found`` is the claim as it was read at the server's time ``now``.

        Raises:
            NameTaken: it is another node's.
        """
        asked = _clocks()
        if found is None:
            # Somebody has removed it; the server lets one node make it anew.
            made = await variables.create(self._client, self.variable, self.announcement.to_dict(), [TAG])
            if made is None:
                await self.check()
                return
            self._claim = made
        elif found.id != self._claim:
            holder = _holder(found, None)
            if holder.life != self.life:
                reason = refusal(holder, self.announcement.name, self.announcement.pool, now)
                if not self._lost.done():
                    self._lost.set_result(reason)
                raise NameTaken(reason)
            self._claim = holder.claim
        self._checked = asked

    async def release(self) -> None:
        """Give the name back, unless it is another node's."""
        await variables.remove(self._client, self._claim)


async def _worker(client: PrefectClient, pool: str, name: str) -> Worker | None:
    """Those heard of last come first: one that lives is found soon."""
    async for page in pages(worker_reader(client, pool)):
        for worker in page:
            if worker.name == name:
                return worker
    return None


def _holder(found: Variable, worker: Worker | None) -> Holder:
    value: Any = found.value if isinstance(found.value, dict) else {}
    pid = value.get("pid")
    seconds = worker.heartbeat_interval_seconds if worker else None
    return Holder(
        claim=found.id,
        life=str(value.get("life") or ""),
        host=str(value.get("host") or "unknown"),
        pid=pid if isinstance(pid, int) else 0,
        claimed=found.updated or datetime.now(UTC),
        beat=worker.last_heartbeat_time if worker else None,
        interval=timedelta(seconds=seconds) if seconds else INTERVAL,
    )


def _clocks() -> tuple[float, float]:
    """Seconds by a clock that goes on while the machine sleeps, and by one that is set after a pause of it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME), time.time()
