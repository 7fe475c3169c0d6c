"""Whether a node could ever take a task; pure."""

from __future__ import annotations

from datetime import UTC, datetime

from skald_bridge.domain.facts import Node
from skald_work_pools.devices import Announcement, Capacity
from skald_work_pools.leases import Ledger, Refusal
from skald_work_pools.needs import Needs

_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def lacks(node: Node, needs: Needs) -> str | None:
    """What the node would refuse even when idle, in its own words; ``None`` also where nothing is known of it."""
    if (capacity := _capacity(node)) is None:
        return None
    answer = Ledger(capacity).admit("", needs, {}, _ANY_TIME)
    return answer.reason if isinstance(answer, Refusal) and answer.permanent else None


def _capacity(node: Node) -> Capacity | None:
    try:
        return Announcement.from_dict(node.capacity).capacity
    except ValueError:
        return None
