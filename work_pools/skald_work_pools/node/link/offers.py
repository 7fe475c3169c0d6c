"""Runs that the bridge offers: taken like polled ones, or refused with a reason."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from prefect.client.schemas.objects import FlowRun, WorkPool
from pydantic import ValidationError

from skald_work_pools.leases import Lease
from skald_work_pools.link.messages import Offer, Refused, Taken
from skald_work_pools.node.runs.admission import Admission
from skald_work_pools.node.runs.poller import Poller

_SAID = 2000
_log = logging.getLogger("skald.node.link")


class Offers:
    """One node's; without ``queues`` it serves all of its pool's."""

    def __init__(
        self, admission: Admission, poller: Poller, pool: Callable[[], WorkPool], queues: Collection[str]
    ) -> None:
        self._admission, self._poller = admission, poller
        self._pool, self._queues = pool, queues

    async def consider(self, offer: Offer) -> Taken | Refused:
        """A run that is here already is not started again."""
        if offer.run_id in self._admission.running:
            return Taken(offer.run_id)
        if offer.run_id in self._admission.left:
            return Refused(offer.run_id, "it was on this node, and has ended here", permanent=True)
        pool = self._pool()
        if str(pool.id) != offer.pool_id:
            return Refused(offer.run_id, "the node serves another work pool", permanent=True)
        if self._queues and offer.queue not in self._queues:
            return Refused(offer.run_id, f"the node does not serve the queue {offer.queue}", permanent=True)
        if pool.is_paused or pool.concurrency_limit is not None:
            return Refused(offer.run_id, "its work pool is paused, or has a limit")
        if self._poller.others_wait:
            return Refused(offer.run_id, "other runs wait for the node")
        if self._admission.busy:
            return Refused(offer.run_id, "the node starts as many runs at once as it can")
        return await self._offered(pool, offer)

    async def _offered(self, pool: WorkPool, offer: Offer) -> Taken | Refused:
        data = dict(offer.run)
        try:
            run = FlowRun.model_validate(data)
        except ValidationError as error:
            return Refused(offer.run_id, f"it is not understood: {error}"[:_SAID], permanent=True)
        answer = await self._admission.offer(pool, run, data, keeps_place=False)
        # A poll may have found it meanwhile.
        if isinstance(answer, Lease) or offer.run_id in self._admission.running:
            _log.info("run %s is taken as the bridge offered it", offer.run_id)
            return Taken(offer.run_id)
        return Refused(offer.run_id, answer.reason[:_SAID], permanent=answer.permanent)
