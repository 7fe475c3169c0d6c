"""The link put together, as the node's service has it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from prefect.client.schemas.objects import WorkPool

from skald_work_pools.devices import Announcement
from skald_work_pools.node.context import NodeContext
from skald_work_pools.node.link.bridge_link import BridgeLink
from skald_work_pools.node.link.node_report import NodeReport
from skald_work_pools.node.link.offers import Offers
from skald_work_pools.node.runs.admission import Admission
from skald_work_pools.node.runs.device_ledger import DeviceLedger
from skald_work_pools.node.runs.poller import Poller
from skald_work_pools.node.settings import NodeSettings
from skald_work_pools.retrying import insist


class Linked:
    """``announce`` tells of the node in Prefect: that it is linked, too."""

    def __init__(
        self,
        context: NodeContext,
        settings: NodeSettings,
        announcement: Announcement,
        pool: Callable[[], WorkPool],
        queues: Collection[str],
        ledger: DeviceLedger,
        admission: Admission,
        poller: Poller,
        *,
        announce: Callable[[], Awaitable[None]],
    ) -> None:
        self._report = NodeReport(announcement, pool, queues, ledger, admission, poller)
        offers = Offers(admission, poller, pool, queues)
        self._link = BridgeLink(
            settings.link,
            settings.link_key,
            self._report.hello,
            self._report.now,
            offers.consider,
            lambda: context.aside(insist(announce, "announcement")),
        )
        self.run, self.changed = self._link.run, self._link.changed
        ledger.watcher = self.changed

    @property
    def connected(self) -> bool:
        return self._link.connected

    def loaded(self, types: frozenset[str], needs: Mapping[str, Mapping[str, Any]]) -> None:
        """The task types whose code is loaded, and what these declare to need."""
        self._report.types, self._report.needs = types, needs
        self.changed()
