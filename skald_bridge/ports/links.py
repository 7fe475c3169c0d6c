"""Links that nodes hold to the bridge, and what hears of runs that are born here."""

from __future__ import annotations

from typing import Protocol

from skald_bridge.domain.dispatch import Born
from skald_work_pools.link.messages import FromBridge


class NodeLink(Protocol):
    """One node's connection. Neither method waits."""

    def send(self, message: FromBridge) -> bool:
        """Whether it will be sent: the link is open, and the node reads."""
        ...

    def close(self, reason: str) -> None: ...


class Births(Protocol):
    """Hears of each run that the engine has created, at once."""

    def wants(self, pool: str) -> bool:
        """Whether anything is to be done with runs of this work pool."""
        ...

    def born(self, born: Born) -> None: ...
