"""Holds tasks to their share of a GPU, by what NVML says that their processes use."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from skald_work_pools.gpu_shares import PATIENCE, Excess, Overuse, excess, judge
from skald_work_pools.node.runs.device_ledger import DeviceLedger
from skald_work_pools.node.runs.run_supervisor import RunSupervisor

EVERY = 2.0


class GpuWatch:
    """Of one node. NVML is asked only while a task has a share."""

    def __init__(self, ledger: DeviceLedger, running: Mapping[str, RunSupervisor], policy: Overuse) -> None:
        self._ledger = ledger
        self._running = running
        self._policy = policy
        self._since: Mapping[str, datetime] = {}

    async def run(self) -> None:
        """For ever; a node without GPUs has nothing to watch."""
        while self._ledger.has_gpus:
            await asyncio.sleep(EVERY)
            self.look(datetime.now(UTC))

    def look(self, now: datetime) -> None:
        """Once: warn of what is new, end what has lasted."""
        shares = [lease for lease in self._ledger.ledger.leases if lease.needs.gpu_memory]
        if not shares:
            self._since = {}
            return
        readings = self._ledger.readings()
        found = {lease.run_id: over for lease in shares if (over := excess(lease, readings)) is not None}
        judged = judge(self._since, found, self._policy, now)
        self._since = judged.since
        for run in judged.warned:
            self._warn(run, found[run])
        for run in judged.killed:
            if (supervisor := self._running.get(run)) is not None:
                supervisor.kill(str(found[run]))

    def _warn(self, run: str, over: Excess) -> None:
        if (supervisor := self._running.get(run)) is not None:
            seconds = PATIENCE.total_seconds()
            then = (
                f"; it is killed unless that ends within {seconds:g} s"
                if self._policy is Overuse.KILL
                else ""
            )
            supervisor.say(f"{over}{then}", logging.WARNING)
