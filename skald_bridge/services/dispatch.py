"""Offers runs that were born here to linked nodes, one after the other, until one takes it or three have not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from cachetools import FIFOCache

from skald_bridge.domain.dispatch import MOST_NODES, Born, hindrance, may_offer, requests
from skald_bridge.ports import Clock
from skald_bridge.services.loop import Wake
from skald_bridge.services.nodes import Nodes
from skald_work_pools.link.frames import TooLarge
from skald_work_pools.link.messages import Offer, Refused, Taken
from skald_work_pools.placement.model import Grant

ANSWER = timedelta(seconds=2)
"""How long a node may take to answer an offer."""
_TICK = 0.5
_IDLE = 3600.0
_REMEMBERED = 10_000
_log = logging.getLogger("skald_bridge.dispatch")


class _Offered:
    """A run that a node was offered and has not answered for; ``tried`` are those that did not take it."""

    __slots__ = ("born", "member", "tried", "until")

    def __init__(self, born: Born) -> None:
        self.born = born
        self.tried: list[str] = []
        self.member = ""
        self.until: datetime | None = None


class Dispatch:
    """Fulfils ``Births``. Whatever becomes of an offer, the run is Scheduled in Prefect, where nodes find it."""

    def __init__(self, nodes: Nodes, clock: Clock, wake: Wake) -> None:
        """``wake`` hurries ``step``."""
        self._nodes, self._clock, self._wake = nodes, clock, wake
        nodes.gone = self._lost
        self._began = clock.now()
        self._ready = False
        self._open: dict[str, _Offered] = {}
        self._seen: FIFOCache[str, None] = FIFOCache(_REMEMBERED)
        self.expected: Callable[[], Collection[str] | None] = lambda: None
        """The nodes that Prefect has online, each with its pool; ``None`` while it has not been asked."""
        self.waits: Callable[[str], bool] = lambda task: True
        """Whether a task still waits for a node, as far as anybody has heard."""
        self.outcomes = dict.fromkeys(("taken", "refused", "lost", "unplaced", "held", "early"), 0)
        """Offers that were taken, refused, not answered; runs that no node could take, that Prefect's own limits
        hold, that came before the nodes."""

    def wants(self, pool: str) -> bool:
        return self._nodes.serves(pool)

    def born(self, born: Born) -> None:
        """Offer it, unless it is known already."""
        if born.run_id in self._seen:
            return
        self._seen[born.run_id] = None
        if why := hindrance(born):
            self.outcomes["held"] += 1
            _log.debug("run %s is not offered: %s", born.run_id, why)
        elif not self._is_ready():
            self.outcomes["early"] += 1
        else:
            self._offer(_Offered(born))

    def hear(self, key: str, answer: Taken | Refused) -> None:
        """A node's answer; one that comes too late says nothing new."""
        offered = self._open.get(answer.run_id)
        if offered is None or offered.member != key:
            return
        del self._open[answer.run_id]
        if isinstance(answer, Taken):
            self.outcomes["taken"] += 1
            _log.debug("run %s is taken by node %s", answer.run_id, self._nodes.name(key))
            return
        self.outcomes["refused"] += 1
        _log.debug("run %s is refused by node %s: %s", answer.run_id, self._nodes.name(key), answer.reason)
        self._next(offered)

    async def step(self) -> float:
        """Offers that nobody answers go to the next node."""
        now = self._clock.now()
        late = [each for each in self._open.values() if each.until is not None and each.until <= now]
        for offered in late:
            self._give_up(offered)
        return _TICK if self._open else _IDLE

    def _is_ready(self) -> bool:
        if not self._ready:
            now = self._clock.now()
            self._ready = may_offer(now, self._began, self.expected(), self._nodes.linked())
        return self._ready

    def _lost(self, key: str) -> None:
        """The node is not linked any more."""
        for offered in [each for each in self._open.values() if each.member == key]:
            self._give_up(offered)

    def _give_up(self, offered: _Offered) -> None:
        del self._open[offered.born.run_id]
        self.outcomes["lost"] += 1
        self._next(offered)

    def _next(self, offered: _Offered) -> None:
        self._nodes.release(offered.born.run_id)
        offered.tried.append(offered.member)
        if self.waits(offered.born.task):
            self._offer(offered)

    def _offer(self, offered: _Offered) -> None:
        born = offered.born
        while len(offered.tried) < MOST_NODES and (grant := self._placed(offered)) is not None:
            if self._sent(born, grant):
                offered.member, offered.until = grant.member, self._clock.now() + ANSWER
                if not self._open:
                    self._wake(_TICK)
                self._open[born.run_id] = offered
                return
            self._nodes.release(born.run_id)
            offered.tried.append(grant.member)
        self.outcomes["unplaced"] += 1

    def _placed(self, offered: _Offered) -> Grant | None:
        born = offered.born
        declared = self._nodes.declared(born.gate.pool_id, born.class_name)
        for request in requests(born, declared, offered.tried):
            if isinstance(found := self._nodes.place(request), Grant):
                return found
        return None

    def _sent(self, born: Born, grant: Grant) -> bool:
        try:
            offer = Offer(born.run_id, born.gate.pool_id, born.queue, born.run)
            return self._nodes.send(grant.member, offer)
        except TooLarge:
            return False
