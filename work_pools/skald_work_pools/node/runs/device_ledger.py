"""The ledger with the machine under it: GPUs read when needed, leases ended when NVML agrees."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from skald_work_pools.devices import Capacity, Readings
from skald_work_pools.leases import Lease, Ledger, Refusal, Usage
from skald_work_pools.needs import Needs
from skald_work_pools.nvml import Nvml

FRESH = 0.5
"""Seconds for which a reading of the GPUs may be used again."""
CONFIRM_EVERY = 0.25


class DeviceLedger:
    """``freed`` is called whenever a lease has ended; ``watcher``, which others may set, at every change."""

    def __init__(self, capacity: Capacity, nvml: Nvml, freed: Callable[[], None]) -> None:
        self.ledger = Ledger(capacity)
        self._nvml = nvml
        self._freed = freed
        self.watcher: Callable[[], None] = lambda: None
        self._read: tuple[float, Readings] = (-FRESH, {})
        self._releasing = asyncio.Event()

    @property
    def has_gpus(self) -> bool:
        return bool(self.ledger.capacity.gpus)

    def readings(self) -> Readings:
        if not self.has_gpus:
            return {}
        when, found = self._read
        if time.monotonic() - when > FRESH:
            found = self._nvml.readings()
            self._read = (time.monotonic(), found)
        return found

    def admit(self, run_id: str, needs: Needs) -> Lease | Refusal:
        answer = self.ledger.admit(run_id, needs, self.readings(), datetime.now(UTC))
        self.watcher()
        return answer

    def usage(self) -> Usage:
        return self.ledger.usage(self.readings())

    def started(self, run_id: str, session: int) -> None:
        self.ledger.started(run_id, session)

    def withdraw(self, run_id: str) -> None:
        """The run never started here."""
        self.ledger.withdraw(run_id)
        self.watcher()
        self._freed()

    def release(self, run_id: str) -> None:
        """The run's processes are gone; its GPUs follow when NVML agrees."""
        ended = self.ledger.begin_release(run_id, datetime.now(UTC))
        self.watcher()
        if ended:
            self._freed()
        else:
            self._releasing.set()

    async def run(self) -> None:
        """Confirm releases for ever."""
        while True:
            await self._releasing.wait()
            await asyncio.sleep(CONFIRM_EVERY)
            self._read = (-FRESH, {})
            if self.ledger.confirm(self.readings(), datetime.now(UTC)):
                self.watcher()
                self._freed()
            if not any(lease.releasing for lease in self.ledger.leases):
                self._releasing.clear()
