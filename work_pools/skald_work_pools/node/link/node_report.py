"""What the node says of itself over the link."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from prefect.client.schemas.objects import WorkPool

from skald_work_pools.devices import Announcement
from skald_work_pools.link.messages import Hello, Report
from skald_work_pools.link.reports import free_of
from skald_work_pools.node.runs.admission import Admission
from skald_work_pools.node.runs.device_ledger import DeviceLedger
from skald_work_pools.node.runs.poller import Poller


class NodeReport:
    """One node's, at any moment."""

    def __init__(
        self,
        announcement: Announcement,
        pool: Callable[[], WorkPool],
        queues: Collection[str],
        ledger: DeviceLedger,
        admission: Admission,
        poller: Poller,
    ) -> None:
        self._announcement, self._pool, self._queues = announcement, pool, frozenset(queues)
        self._ledger, self._admission, self._poller = ledger, admission, poller
        self.types: frozenset[str] = frozenset()
        """Task types whose code is loaded."""
        self.needs: Mapping[str, Mapping[str, Any]] = {}
        """What these declare."""

    def hello(self) -> Hello:
        pool, has = self._pool(), self._announcement
        return Hello(
            has.name,
            has.life,
            str(pool.id),
            pool.name,
            self._ledger.ledger.capacity,
            self.now(),
            self._queues,
        )

    def now(self) -> Report:
        usage = self._ledger.usage()
        return Report(
            free_of(usage),
            # Sessions are the node's own concern, and would be news once more for each run.
            tuple(replace(lease, session=None) for lease in usage.leases),
            self.types,
            self.needs,
            draining=self._admission.closed,
            waiting=self._poller.others_wait,
        )
