"""Nodes that hold a link and the offers to them, as one: what the rest of the bridge is given."""

from __future__ import annotations

from skald_bridge.ports import Clock
from skald_bridge.services.dispatch import Dispatch
from skald_bridge.services.loop import Wake
from skald_bridge.services.nodes import Nodes
from skald_work_pools.placement.model import Settings


class Linked:
    """``silence`` hurries the nodes' step, ``answers`` the dispatch's."""

    def __init__(self, clock: Clock, settings: Settings | None = None) -> None:
        self.silence, self.answers = Wake(), Wake()
        self.nodes = Nodes(clock, self.silence, settings)
        self.dispatch = Dispatch(self.nodes, clock, self.answers)
